"""A run whose plugin is not here: the message tells how the run was made."""

import pytest

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.open_run import open_run
from astrojepa_bench.runs.weights import DataFacts, write_weights
from astrojepa_bench.testing import galaxies
from astrojepa_bench.testing.rehearsal import small_encoder
from astrojepa_bench.testing.templates.objective import TemplateObjective
from tests.board.conftest import make_run


def test_a_run_of_an_absent_plugin_tells_how_it_was_made(tmp_path):
    """The nearest name is a guess; the command line that made the run is not."""
    command = "astrojepa-bench run --plugin tiny.py -e tiny"
    record = make_run(encoder="tiny", provenance={"command": command})
    store = Store(tmp_path)
    path = store.write(record)
    encoder = small_encoder()
    facts = DataFacts(galaxies.image_spec(), galaxies.CLASSES, ("a", "b", "c"), "invented galaxies")
    store.weights_path(record.run_id).parent.mkdir(parents=True, exist_ok=True)
    write_weights(store.weights_path(record.run_id), TemplateObjective(encoder, encoder.grid, 3), facts)

    with pytest.raises(
        ConfigError, match=r"unknown encoder 'tiny'.*made by `astrojepa-bench run --plugin tiny.py"
    ):
        open_run(path)
