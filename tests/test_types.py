"""Tables and specs that contradict themselves are refused, by the name of what is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

SPEC = ImageSpec(("g", "r"), 4, (0.2, 0.2), (0.1, 0.1))


@pytest.fixture
def table():
    """Five galaxies: one of train, one of val, three of test of which the last is an anomaly."""
    return GalaxyTable(
        images=np.zeros((5, 2, 4, 4), np.uint8),
        ids=np.array(list("abcde")),
        split=np.array(["train", "val", "test", "test", "test"]),
        spec=SPEC,
        card=Card("made up", "MIT", "nobody"),
        fingerprint="f00d",
        label=np.array([0, 1, 0, -1, -1]),
        anomaly=np.array([0, 0, 0, 0, 1]),
        anomaly_type=np.array(["", "", "", "", "lens"]),
        group=np.array([1, 2, 3, 3, 4]),
    )


COLUMNS = (
    "ids",
    "split",
    "label",
    "anomaly",
    "anomaly_type",
    "redshift",
    "ra",
    "dec",
    "pixel_scale",
    "group",
)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_another_length_is_named(table, name):
    """A row of facts for each image, no more and no fewer."""
    column = getattr(table, name)
    longer = np.zeros(6) if column is None else np.concatenate([column, column[-1:]])

    with pytest.raises(DataError, match=f"column '{name}' has 6 rows for 5 images"):
        replace(table, **{name: longer})


def test_a_factor_of_another_length_is_named(table):
    """Truths of simulated galaxies are columns as well."""
    with pytest.raises(DataError, match="column 'tilt' has 4 rows for 5 images"):
        replace(table, factors={"size": np.zeros(5), "tilt": np.zeros(4)})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ids": np.array(list("abcda"))}, "1 ids are not unique"),
        ({"split": np.array(["train", "val", "test", "tests", "test"])}, r"unknown splits \['tests'\]"),
        ({"label": np.array([0, 1, 0, -1, 0])}, "anomalies must lie in the test split and carry no label"),
        (
            {"anomaly": np.array([0, 0, 0, 2, 1]), "split": np.array(["val"] * 4 + ["test"])},
            "in the test split",
        ),
        ({"group": np.array([1, 3, 3, 3, 4])}, "a sky group lies in two splits"),
        ({"images": np.zeros((5, 3, 4, 4), np.uint8)}, "images of 3 bands"),
        ({"images": np.zeros((5, 2, 4, 5), np.uint8)}, r"\(4, 5\) px"),
        ({"images": np.zeros((5, 2, 5, 5), np.uint8)}, r"\(5, 5\) px"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(table, changed, said):
    """Each rule has its words; the table itself breaks none."""
    with pytest.raises(DataError, match=said):
        replace(table, **changed)


def test_classes_are_those_that_have_a_name_or_a_label(table):
    """Two labels are two classes; three names are three, though one has no galaxy; no label, no class."""
    assert table.classes == 2
    assert replace(table, card=replace(table.card, class_names=("a", "b", "c"))).classes == 3
    assert replace(table, label=np.full(5, -1)).classes == 0


def test_classes_that_are_present_have_a_galaxy(table):
    """Whatever number they bear, and however many names there are."""
    names = replace(table.card, class_names=tuple("abcdefghij"))

    assert replace(table, card=names, label=np.array([9, 1, -1, 9, -1])).present.tolist() == [1, 9]
    assert not len(replace(table, label=np.full(5, -1)).present)


def test_pretraining_sees_no_galaxy_that_is_judged(table):
    """Train and pool, in the order of the table."""
    pooled = replace(table, split=np.array(["pool", "val", "train", "pool", "test"]), group=None)

    assert pooled.pretraining_rows.tolist() == [0, 2, 3]
    assert pooled.rows("val", "test").tolist() == [1, 4]


@pytest.mark.parametrize(
    ("bands", "mean", "std", "said"),
    [
        (("g", "r"), (0.2,), (0.1, 0.1), "2 bands with 1 means, 2 stds"),
        (("g", "r"), (0.2, 0.2), (0.1,), "2 bands with 2 means, 1 stds"),
        (("g", "r"), (0.2, 0.2), (0.1, 0.0), "must be positive"),
        ((), (), (), "must be positive"),
    ],
)
def test_a_spec_without_a_spread_for_each_band_is_refused(bands, mean, std, said):
    """Nothing can be divided by 0, and an image without bands shows nothing."""
    with pytest.raises(ContractError, match=said):
        ImageSpec(bands, 4, mean, std)
