"""Which galaxies were right, as bits."""

import base64
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrojepa_bench.errors import DataError
from astrojepa_bench.results.correct import decode_bits, encode_bits, galaxies_text, read_classes, recalls
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store


@given(right=st.lists(st.booleans(), max_size=70))
def test_bits_come_back(right):
    """Any number of galaxies, of any kind, in ceil(n / 8) bytes; written as `numpy.packbits` and base64 do."""
    text = encode_bits(np.array(right, dtype=bool))

    assert decode_bits(text, len(right)).tolist() == right
    assert len(base64.b64decode(text)) == math.ceil(len(right) / 8)
    assert np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))[: len(right)].tolist() == right


@pytest.mark.parametrize(
    ("text", "n"), [("oA==", 9), ("oA==", 2), ("oAA=", 3), ("no base64!", 3), ("oA", 3), ("é", 3)]
)
def test_bits_of_other_galaxies_are_refused(text, n):
    """Too few, too many, a bit beyond the last galaxy, or no bits at all: one line."""
    with pytest.raises(DataError) as caught:
        decode_bits(text, n)
    assert "\n" not in str(caught.value)


def test_a_record_packs_what_is_said_by_id(make_record):
    """The order of ids is that of text, so 'g10' comes before 'g9', and what is packed stays."""
    record = make_record(correct={"linear.accuracy": {"g9": True, "g10": False, "g1": False}})

    assert decode_bits(record.correct["linear.accuracy"], 3).tolist() == [False, False, True]
    assert RunRecord.model_validate(record.facts()) == record


def test_galaxies_are_listed_by_id_with_their_class(tmp_path):
    """Those without a label are left out; a comma in an id stays within it."""
    text = galaxies_text(np.array(["g9", "g10", "odd", "a,b"]), np.array([1, 0, -1, 2]))

    assert text == 'position,id,class\n0,"a,b",2\n1,g10,0\n2,g9,1\n'
    (tmp_path / "list.csv").write_text(text)
    assert read_classes(tmp_path / "list.csv").tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    "text",
    ["", "position,id,class\n", "id,class\n0,1\n", "position,id,class\n1,a,0\n", "position,id,class\n0,a,x\n",
     "position,id,class\n0,b,1\n1,a,0\n"],
)  # fmt: skip
def test_a_damaged_list_is_named(tmp_path, text):
    """Another order would give galaxies the class of others."""
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=r"list\.csv"):
        read_classes(tmp_path / "list.csv")


def test_recalls_are_the_shares_of_each_class():
    """Two of three of class 0, none of one of class 4."""
    found = recalls(np.array([True, True, False, False]), np.array([0, 0, 0, 4]))

    assert found == {0: pytest.approx(2 / 3), 4: 0.0}


def test_an_equal_list_is_not_written_again(tmp_path):
    """Nor one for galaxies of which nobody knows the class; another content replaces a damaged one."""
    store, ids, label = Store(tmp_path), np.array(["b", "a"]), np.array([1, 0])
    store.keep_galaxies("f00d", ids, label)
    before = store.galaxies_path("f00d").stat().st_mtime_ns
    store.keep_galaxies("f00d", ids[::-1], label[::-1])
    store.keep_galaxies("beef", ids, np.array([-1, -1]))

    assert store.galaxies_path("f00d").stat().st_mtime_ns == before
    assert store.classes("beef") is None
    store.galaxies_path("f00d").write_text("")
    store.keep_galaxies("f00d", ids, label)
    assert store.classes("f00d").tolist() == [0, 1]
