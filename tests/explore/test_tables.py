"""Tables read back what was written, in every format, byte for byte the same each time."""

from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from astrojepa_bench import extract_latents
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.explore.endings import LATENT_FORMATS, TABLE_FORMATS
from astrojepa_bench.explore.latents import write_latents
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import (
    column_label,
    facts_table,
    rounded,
    viewer_link,
    write_table,
)


@pytest.fixture(scope="module")
def facts(sample):
    return facts_table(sample)


def read_table(path):
    """Read a table with the library that its users would take."""
    if path.suffix in (".csv", ".parquet"):
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return Table.read(path).to_pandas()


@pytest.mark.parametrize("ending", TABLE_FORMATS)
@pytest.mark.filterwarnings("ignore::astropy.io.votable.exceptions.VOWarning")
def test_what_is_written_is_read_back(facts, tmp_path, ending):
    """Numbers exactly, text exactly; twice the same bytes."""
    path, twin = (write_table(facts, tmp_path / f"{name}{ending}") for name in ("one", "two"))
    found = read_table(path)

    assert path.read_bytes() == twin.read_bytes()
    assert list(found) == list(facts)
    for name in facts:
        if facts[name].dtype.kind in "if":
            np.testing.assert_array_equal(found[name], facts[name])
        else:
            texts = [value.decode() if isinstance(value, bytes) else str(value) for value in found[name]]
            assert texts == list(facts[name].astype(str))


def test_columns_carry_their_units(facts, tmp_path):
    """Degrees and arcseconds a pixel, where the format knows units, and in the labels of figures."""
    found = Table.read(write_table(facts, tmp_path / "facts.fits"))

    assert (str(found["ra"].unit), str(found["pixel_scale"].unit)) == ("deg", "arcsec / pix")
    assert column_label("pixel_scale") == "pixel scale [arcsec / pix]"


@pytest.mark.parametrize("ending", LATENT_FORMATS)
def test_latents_are_those_of_the_encoder(sample, tmp_path, ending):
    """In each format, beside the id of their galaxy."""
    latents = read_latents(write_latents(sample, tmp_path / f"latents{ending}"))

    np.testing.assert_array_equal(latents["latents"], sample.latents.numpy())
    assert list(latents["id"]) == list(sample.table.ids[sample.rows].astype(str))


def read_latents(path):
    """Return ids and latents of a file."""
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return {"id": file["id"].asstr()[:], "latents": file["latents"][:]}
    if path.suffix == ".npz":
        return dict(np.load(path))
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        return {"id": frame["id"], "latents": np.stack(frame["latents"].to_list())}
    table = Table.read(path)
    return {"id": [str(name) for name in table["id"]], "latents": np.asarray(table["latents"])}


def test_extract_latents_encodes_any_table(run, table, sample):
    """Rows of a whole table agree with what the run's own test galaxies got, whatever the batch."""
    latents, labels = extract_latents(run, replace(table, fingerprint="not those that were kept"))

    np.testing.assert_array_equal(labels, table.label)
    np.testing.assert_allclose(latents[sample.rows], sample.latents.numpy(), atol=1e-4)


def test_unknown_facts_are_no_columns(run, table):
    """A galaxy of unknown class has none; a table without redshifts or places has no such column."""
    bare = replace(table, label=np.full(len(table), -1), redshift=None, ra=None, dec=None, pixel_scale=None)
    found = facts_table(Sample(run, bare, np.arange(4)))

    assert list(found) == ["index", "id", "split", "label", "class"]
    assert (found["class"] == "").all()


def test_links_are_of_the_place(facts):
    """Six decimals of a degree; nothing where the place is unknown."""
    assert f"ra={facts['ra'][0]:.6f}&dec={facts['dec'][0]:.6f}" in facts["viewer"][0]
    assert viewer_link(float("nan"), 1.0) == ""


@pytest.mark.parametrize("name", ["table.xlsx", "table"])
def test_unknown_ending_is_refused(facts, tmp_path, name):
    """With those that are known, and nothing is written."""
    with pytest.raises(ConfigError, match=r"unknown ending .* use one of .csv, .parquet, .fits"):
        write_table(facts, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_six_significant_digits():
    """Zero, infinities and unknown values stay what they are."""
    values = rounded(np.array([123456.789, -0.000123456789, 0.0, np.inf, np.nan]))
    np.testing.assert_allclose(values[:3], [123457, -0.000123457, 0], rtol=1e-12)
    assert np.isinf(values[3])
    assert np.isnan(values[4])
