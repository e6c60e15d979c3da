"""Which galaxies a run looks at: its own test galaxies or all of any others, each seen as when it was scored."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from astrojepa_bench import events
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.explore.sample import Sample, chosen_sample, own_sample, sample_of
from astrojepa_bench.registry import load_registry


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture
def told():
    """Collect what listeners are told meanwhile."""
    notes = []
    with events.listening(lambda event: notes.append(event.fields.get("text", ""))):
        yield notes


def settings(path):
    return {"dataset": {"path": str(path)}}


def test_own_galaxies_are_the_test_galaxies_as_they_were_scored(run, registry, galaxies, tmp_path, table):
    """Features come from what was kept, and are those that encoding again would give."""
    own = own_sample(run, registry, settings(galaxies), tmp_path)
    again = Sample(run, replace(table, fingerprint="nothing kept"), own.rows)

    np.testing.assert_array_equal(own.rows, table.rows("test"))
    assert own.kept is not None
    torch.testing.assert_close(own.latents, again.latents, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(own.reference, again.reference, atol=1e-4, rtol=1e-4)
    np.testing.assert_array_equal(np.sort(own.reference_rows), table.rows("train"))


def test_others_are_looked_at_whole(run, registry, galaxies, tmp_path, table):
    """By name, or as a table or dataset in Python."""
    assert len(chosen_sample(run, "hdf5", registry, settings(galaxies), tmp_path)) == len(table)
    assert len(sample_of(run, table)) == len(table)


def test_without_training_galaxies_distances_are_among_those_looked_at(run, table):
    """Anomalies that are known do not count as ordinary."""
    anomaly = np.zeros(len(table), dtype=int)
    anomaly[3] = 1
    label = np.where(anomaly, -1, table.label)
    tested = replace(table, split=np.full(len(table), "test"), anomaly=anomaly, label=label)

    assert sorted(Sample(run, tested, np.arange(9)).reference_rows) == [0, 1, 2, 4, 5, 6, 7, 8]


def test_files_of_the_run_must_be_given(run, registry):
    """A record keeps their names and no folders; only the output folder remembers these."""
    assert len(own_sample(run, registry))
    (run.store.out / ".index" / "galaxies").unlink()
    with pytest.raises(ConfigError, match=r"galaxies of tiny\.h5 .* --set dataset\.path=FILE"):
        own_sample(run, registry)


def test_other_galaxies_than_the_runs_are_told(run, registry, galaxies, tmp_path, told):
    """They are looked at all the same; nothing that was kept of the run's own is taken for theirs."""
    path = tmp_path / "tiny.h5"
    path.write_bytes(galaxies.read_bytes())
    with h5py.File(path, "a") as file:
        file["images"][0] = 255 - file["images"][0]
    sample = own_sample(run, registry, settings(path), tmp_path)

    assert any("not the galaxies that run" in note for note in told)
    assert sample.kept is None
    assert torch.isfinite(sample.latents).all()


def test_other_bands_are_refused(run, table):
    """With both counts and names."""
    grey = replace(
        table, images=table.images[:, :1], spec=replace(table.spec, bands=("r",), mean=(0.5,), std=(0.2,))
    )
    with pytest.raises(DataError, match=r"sees 3 bands \(red, green, blue\); tiny has 1 \(r\)"):
        sample_of(run, grey)


def test_a_run_that_diverged_is_refused(run, table):
    """Non-finite features are counted and not drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "astrojepa_bench.explore.sample.encode_rows",
            lambda encoder, images, rows: {"last": torch.full((len(rows), 4), float("nan"))},
        )
        with pytest.raises(DataError, match="non-finite features for 5 of 5 galaxies"):
            _ = Sample(run, replace(table, fingerprint="nothing kept"), np.arange(5)).latents
