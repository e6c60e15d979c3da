"""Data sets that end the command that loads them."""

from astrojepa_bench.plugin import Dataset, hookimpl


class Mute(Exception):
    """Its text cannot be had."""

    def __str__(self):
        raise RuntimeError("no text")


def raises(name, error):
    """Make a data set that raises when it is loaded."""

    def load(self, size_px, cache_dir):
        raise error

    return type(
        name, (Dataset,), {"load": load, "__doc__": f"Raises {name}.", "__module__": __name__, "version": 1}
    )


@hookimpl
def astrojepa_datasets():
    errors = {
        "d-exits": SystemExit(0),
        "d-keyboard": KeyboardInterrupt(),
        "d-mute": Mute(),
        "d-key": KeyError(3),
    }
    return {name: raises(name, error) for name, error in errors.items()}
