"""Looking at galaxies through `import astrojepa_bench as ab`: whatever names the run, and wherever they lie."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import astrojepa_bench as ab
from astrojepa_bench.api.looking import galaxies_for, meant
from astrojepa_bench.api.wording import speaking_python
from astrojepa_bench.data.folder import Folder
from astrojepa_bench.data.galaxies import load_table
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store

REGISTRY = cache(load_registry)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """Keep what is converted out of the user's folder, and what is installed from one test to the next."""
    monkeypatch.setattr("astrojepa_bench.api.looking.default_cache", lambda: tmp_path / "cache")
    monkeypatch.setattr("astrojepa_bench.api.looking.load_registry", REGISTRY)


@pytest.mark.slow
def test_latents_of_a_file_are_those_of_its_arrays_and_have_ids(run, galaxies, table):
    """The pair that AstroJEPA's users know, and who each galaxy is."""
    latents, labels = found = ab.extract_latents(run, galaxies)
    pixels = np.ascontiguousarray(np.asarray(table.images).transpose(0, 2, 3, 1))
    names = [f"g{number}" for number in range(len(table))]
    of_arrays = ab.extract_latents(run, pixels, ids=names)

    np.testing.assert_allclose(latents, of_arrays.latents, atol=1e-5)
    assert found.ids.tolist() == table.ids.tolist()
    assert of_arrays.ids.tolist() == names
    assert labels.tolist() == table.label.tolist()
    assert {"id", "redshift", "ra", "dec"} <= {*found.facts}
    assert len(repr(found)) < 120
    assert len(found._repr_html_()) < 3_000


@pytest.mark.slow
def test_a_run_is_named_by_its_file_or_in_an_output_folder(run, record_path, table, monkeypatch):
    """As on the command line: first letters, or `latest`."""
    monkeypatch.chdir(run.store.out.parent)
    for name in (record_path, "latest", run.record.run_id[:6]):
        opened = ab.open_run(name, out=run.store.out)
        assert opened.record == run.record
    assert len(repr(run)) < 200
    assert repr(table) == "<120 galaxies of tiny: 32 px, bands red, green, blue>"
    assert len(repr(run.record)) < 150


@pytest.mark.slow
def test_galaxies_loaded_at_another_size_are_read_again_at_that_of_the_run(run, galaxies, tmp_path):
    """No resampled image of a resampled image, and no error about sizes."""
    loaded = ab.load(galaxies, size=16, cache=tmp_path)

    frame = ab.find_neighbours(run, loaded, idx=3, number=4)

    expected = ab.find_neighbours(run, galaxies, idx=3, number=4)
    pd.testing.assert_frame_equal(frame, expected)
    assert frame["id"][0] == loaded.ids[3]


@pytest.mark.slow
def test_figures_show_themselves(run, galaxies):
    """As PNG, without pyplot."""
    figure = ab.draw_map(run, galaxies, method="pca")
    strip = ab.draw_neighbours(run, galaxies, idx=0, number=2)

    assert figure._repr_png_().startswith(b"\x89PNG")
    assert sum(bool(axes.get_title()) for axes in strip.axes) == 3


@pytest.mark.slow
def test_every_image_of_an_array_has_its_row(run, table):
    """One alone, one twice, and in the order given: nothing is divided, so nothing is too little."""
    pixels = np.ascontiguousarray(np.asarray(table.images)[:2].transpose(0, 2, 3, 1))
    [alone], _ = ab.extract_latents(run, pixels[:1])
    thrice, _ = ab.extract_latents(run, pixels[[1, 0, 0]])

    np.testing.assert_allclose(thrice[1:], [alone, alone], atol=1e-5)
    assert not np.allclose(thrice[0], alone, atol=1e-2)


@pytest.mark.parametrize("count", [1, 2])
def test_a_folder_may_hold_too_few_to_divide(run, table, tmp_path, count):
    """As for the command: they are looked at, and are the images that lie there; to learn from they are too few."""
    folder = tmp_path / "few"
    folder.mkdir()
    for number, image in enumerate(np.asarray(table.images)[:count].transpose(0, 2, 3, 1)):
        Image.fromarray(image).save(folder / f"g{number}.png")
    found = galaxies_for(run, folder, {})

    assert found.ids.tolist() == [f"g{number}" for number in range(count)]
    np.testing.assert_array_equal(found.images, np.asarray(table.images)[:count])
    with pytest.raises(DataError, match=r"cannot be divided|no galaxies in"):
        load_table(Folder(path=folder), 32, tmp_path / "cache")


@pytest.mark.slow
def test_arrays_of_other_bands_than_the_runs_are_refused(run, table):
    pixels = np.asarray(table.images)[:, :1].transpose(0, 2, 3, 1)
    with pytest.raises(Exception, match="sees 3 bands"):
        ab.extract_latents(run, np.ascontiguousarray(pixels))


def test_own_galaxies_that_moved_are_asked_for_in_python(run, galaxies, monkeypatch, tmp_path):
    """What to type is an argument, and it is taken."""
    monkeypatch.chdir(tmp_path)
    forgotten = replace(run, store=Store(tmp_path))  # an output folder that does not know where they lie
    with pytest.raises(ConfigError, match=r"or name other galaxies with dataset=DATASET") as raised:
        ab.extract_latents(forgotten)

    assert 'settings={"dataset.path": "FILE"}' in str(raised.value)
    assert "--" not in str(raised.value)
    found = ab.extract_latents(forgotten, settings={"dataset.path": str(galaxies)})
    assert set(found.facts["split"]) == {"test"}


@pytest.mark.slow
def test_predictions_are_those_of_the_runs_probes(run, galaxies, table):
    """By a path or by arrays; ids are the caller's, and classes are those of the run."""
    found = ab.predict(run, galaxies, settings={"dataset.label": ""})
    pixels = np.ascontiguousarray(np.asarray(table.images).transpose(0, 2, 3, 1))
    of_arrays = ab.predict(run, pixels[:20], ids=[f"new {number}" for number in range(20)])

    assert (found["predicted_class"] == found["predicted_class"].iloc[0]).mean() < 0.7
    assert of_arrays["id"].tolist() == [f"new {number}" for number in range(20)]
    assert of_arrays["predicted_class"].tolist() == found["predicted_class"].tolist()[:20]
    assert {"probability", "predicted_redshift", "redshift_scatter"} <= {*found}


def test_a_galaxy_is_meant_by_number_id_or_place(planted, table):
    """And what is not there is refused in Python's words."""
    sample = planted(np.eye(6))
    ra, dec = float(table.ra[4]), float(table.dec[4])

    assert [meant(sample, which, 5.0) for which in (4, np.int64(4), str(table.ids[4]), (ra, dec))] == [4] * 4
    with pytest.raises(ConfigError, match="give a larger radius= or others"), speaking_python():
        meant(sample, (ra, min(dec + 1.0, 90.0)), 5.0)
