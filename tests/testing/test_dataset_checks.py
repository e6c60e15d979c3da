"""Each rule for datasets is broken once, by a dataset that breaks it."""

from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.testing import checks_of
from astrojepa_bench.testing.templates.dataset import TemplateDataset


class Small(TemplateDataset):
    def __init__(self):
        super().__init__(galaxies=80)


class OneSize(Small):
    def load(self, size_px, cache_dir):
        return super().load(64, cache_dir)


class NothingToChooseOn(Small):
    def load(self, size_px, cache_dir):
        table = super().load(size_px, cache_dir)
        return replace(table, split=np.where(table.split == "val", "train", table.split))


class Nameless(Small):
    def load(self, size_px, cache_dir):
        table = super().load(size_px, cache_dir)
        ids = table.ids.copy()
        ids[3] = ""
        return replace(table, ids=ids)


class OnePointing(Small):
    def load(self, size_px, cache_dir):
        table = super().load(size_px, cache_dir)
        return replace(table, ra=np.full(len(table), 359.999), dec=np.full(len(table), -20.0))


class Turned(Small):
    def load(self, size_px, cache_dir):
        table = super().load(size_px, cache_dir)
        images = table.images.copy()
        images[table.rows("test")[0]] = np.rot90(images[table.rows("train")[0]], axes=(1, 2))
        return replace(table, images=images)


class OneFingerprint(Small):
    def load(self, size_px, cache_dir):
        return replace(super().load(size_px, cache_dir), fingerprint="galaxies")


class Uncalibrated(Small):
    def load(self, size_px, cache_dir):
        table = super().load(size_px, cache_dir)
        return replace(table, spec=replace(table.spec, mean=(0.5,) * 3))


class OneBandThrice(Small):
    def load(self, size_px, cache_dir):
        table = super().load(size_px, cache_dir)
        return replace(table, spec=replace(table.spec, bands=("r", "r", "r")))


class OnlyInTest(Small):
    def load(self, size_px, cache_dir):
        table = super().load(size_px, cache_dir)
        return replace(table, label=np.where(table.split == "test", 1, 0))


class Unlicensed(Small):
    def load(self, size_px, cache_dir):
        table = super().load(size_px, cache_dir)
        return replace(table, card=replace(table.card, licence=" "))


BROKEN = {
    "dataset-loads": (OneSize, "64 px where 32 px were asked for"),
    "dataset-splits": (NothingToChooseOn, "no galaxies in val"),
    "dataset-ids": (Nameless, "empty or repeated"),
    "dataset-sky": (OnePointing, "pairs overlap across splits"),
    "dataset-duplicates": (Turned, "1 galaxies of train are in test too"),
    "dataset-fingerprint": (OneFingerprint, "two sizes have one fingerprint"),
    "dataset-statistics": (Uncalibrated, "means [0.5, 0.5, 0.5], measured"),
    "dataset-bands": (OneBandThrice, "('r', 'r', 'r')"),
    "dataset-labels": (OnlyInTest, "classes [1] are in test and not in train"),
    "dataset-card": (Unlicensed, "the card has no licence"),
}


def test_template_keeps_every_rule(outcomes):
    """What `new dataset` writes passes before anything is changed."""
    assert [str(outcome) for outcome in outcomes("dataset", TemplateDataset).values() if outcome.fix] == []


@pytest.mark.parametrize("check", BROKEN)
def test_check_finds_the_dataset_that_breaks_it(fault, check):
    """A rule that nothing can break is no rule."""
    factory, words = BROKEN[check]

    assert words in fault("dataset", check, factory)


def test_every_dataset_check_has_a_control():
    """A new check comes with a dataset that it finds."""
    assert {check.id for check in checks_of("dataset") if check.id.startswith("dataset-")} == set(BROKEN)
