"""Near-duplicates among the real galaxies: what is found, what is wrongly paired, and how long it takes.

pytest benchmarks/bench_near_duplicates.py -o addopts=--import-mode=importlib --benchmark-json=FILE

The threshold was set on the strangers of Galaxy Zoo 1 against Galaxy Zoo 2 (first case) and on the pairs
across surveys that were known by then; the other cases are what it is reported on. All cut-outs are north up,
so a pair that lies within two degrees of upright may be one galaxy, and any other pair is of strangers.
One core, 64 px; some minutes.
"""

import csv
import io
import math
import zipfile
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from astrojepa_bench.data.resize import resize
from astrojepa_bench.data.splitting.near_duplicates import THRESHOLD, near_duplicates

SHARED = Path(__file__).parents[2] / "shared" / "data"
SIDE_PX = 64
HDF5_IDS = {"galaxy_zoo1.h5": "objid", "galaxy_zoo2.h5": "galaxy_id", "galaxy_zoo2_odd.h5": "objid"}
GZ1 = ("galaxy_zoo1.h5", "galaxy_zoo1_extra_ellipticals.zip")
GZ2 = ("galaxy_zoo2.h5", "galaxy_zoo2_unlabelled.zip")
SCANS = {
    "chosen on": (GZ1, GZ2),
    "disjoint by id": (GZ2[:1], GZ2[1:]),
    "one survey": (("galaxy_zoo2_votes", "galaxy_zoo2_odd.h5"), (*GZ1, *GZ2)),
    "known by id": (("galaxy_zoo2_votes",), ("galaxy_zoo2_odd.h5",)),
    "across surveys": (
        ("decals_rings", "galaxy10_decals_sample.h5", "strong_lens_candidates"),
        (*GZ1, *GZ2, "galaxy_zoo2_votes"),
    ),
    "DECaLS": (("decals_rings",), ("galaxy10_decals_sample.h5", "strong_lens_candidates")),
}
MOTIONS = {
    "turned": {},
    "shifted 2 px": {"shift": 2.0},
    "0.7 times": {"ratio": 0.7},
    "1.4 times": {"ratio": 1.4},
    "0.7 times, shifted 2 px": {"ratio": 0.7, "shift": 2.0},
    "1.4 times, shifted 2 px": {"ratio": 1.4, "shift": 2.0},
    "JPEG quality 50": {"quality": 50},
    "noise of 6 levels": {"noise": 6.0},
}
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real galaxies beside the checkout")


@cache
def pictures(name):
    """Read all images of a file, channels last, and their ids."""
    if name.endswith(".h5"):
        with h5py.File(SHARED / name) as file:
            known = name in HDF5_IDS
            column = file[HDF5_IDS[name]][:].tolist() if known else range(len(file["images"]))
            ids = [entry.decode() if isinstance(entry, bytes) else str(entry) for entry in column]
            return list(file["images"][:]), ids
    archive = zipfile.ZipFile(SHARED / name) if name.endswith(".zip") else None
    names = archive.namelist() if archive else ["table.csv"]
    read = archive.read if archive else lambda member: (SHARED / name / member).read_bytes()
    table = next(entry for entry in names if entry.endswith("table.csv"))
    rows = list(csv.DictReader(io.StringIO(read(table).decode())))
    opened = [Image.open(io.BytesIO(read(table.removesuffix("table.csv") + row["path"]))) for row in rows]
    return [np.asarray(image.convert("RGB")) for image in opened], [row["id"] for row in rows]


def joined(names):
    """Read images of several files at 64 px, channels first, and "file id" of each."""
    images = [resize(image, SIDE_PX) for name in names for image in pictures(name)[0]]
    return np.stack(images), np.array([f"{name} {entry}" for name in names for entry in pictures(name)[1]])


def listed():
    """Return the pairs that the data's own search found."""
    with (SHARED / "same_galaxy_pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {(f"{r['file_a']} {r['objid']}", f"{r['file_b']} {r['galaxy_id']}") for r in rows}


@pytest.mark.parametrize("scan", SCANS)
def test_scan_of_real_galaxies(benchmark, scan):
    """At most one pair of strangers in ten million, and nine tenths of what is known to be one galaxy."""
    torch.set_num_threads(1)
    (a, names_a), (b, names_b) = map(joined, SCANS[scan])
    found = benchmark.pedantic(near_duplicates, args=(a, b), kwargs={"threshold": 0.6}, rounds=1)
    upright = (np.minimum(found.rotation_deg, 360 - found.rotation_deg) < 2) & ~found.mirrored
    passed = found.correlation > THRESHOLD
    pairs = set(zip(names_a[found.row_a[passed]], names_b[found.row_b[passed]], strict=True))
    truth = known_pairs(scan, names_a, names_b)
    strangers = found.correlation[~upright]
    facts = {
        "pairs": len(a) * len(b), "found": len(pairs), "known": len(truth), "recalled": len(truth & pairs),
        "strangers": int((strangers > THRESHOLD).sum()), "strangers_highest": np.sort(strangers)[-5:].tolist(),
        "upright_lowest": np.sort(found.correlation[passed & upright])[:12].tolist(),
        "unlisted": sorted(map(list, pairs - truth)) if len(pairs - truth) < 50 else [],
    }  # fmt: skip
    benchmark.extra_info.update(facts)
    assert facts["strangers"] <= max(1, 1e-7 * len(a) * len(b))
    assert len(truth & pairs) >= 0.9 * len(truth)


def known_pairs(scan, names_a, names_b):
    """Return the pairs known without looking at pixels, or, in the scan of the list, by its own search."""
    if scan == "known by id":
        ids = {name.split()[1]: name for name in names_a}
        return {(ids[name.split()[1]], name) for name in names_b if name.split()[1] in ids}
    return listed() if scan == "chosen on" else set()


@pytest.mark.parametrize("survey", ["galaxy_zoo2_votes", "decals_rings"])
@pytest.mark.parametrize("motion", MOTIONS)
def test_recall_of_transformed_copies(benchmark, survey, motion):
    """Two hundred galaxies turned by any angle, mirrored or not, recompressed, and so on: nine in ten found."""
    torch.set_num_threads(1)
    stream = np.random.default_rng(0)
    images = [pictures(survey)[0][row] for row in stream.permutation(len(pictures(survey)[0]))[:200]]
    one, other = zip(*(transformed(image, stream, **MOTIONS[motion]) for image in images), strict=True)
    found = benchmark.pedantic(near_duplicates, args=(np.stack(one), np.stack(other)), rounds=1)
    right = int((found.row_a == found.row_b).sum())
    benchmark.extra_info.update(recall=right / 200, wrong=len(found) - right)
    assert right >= 180
    assert len(found) == right


def transformed(image, stream, ratio=1.0, shift=0.0, noise=2.0, quality=80):
    """Make a 64 px crop of an image, and an 80 px crop turned, magnified, shifted, tinted and compressed."""
    ours, theirs = min(1.0, ratio) * 0.7, min(1.0, 1 / ratio) * 0.7  # 0.7: the corners of a turned crop exist
    away = shift * np.exp(2j * math.pi * stream.uniform())
    plain = crop(image, ours, 64, 0.0, False, 0j)
    turned = crop(image, theirs, 80, stream.uniform(0, 360), bool(stream.integers(2)), away)
    gain, gamma, sky = stream.uniform(0.85, 1.15), stream.uniform(0.9, 1.1), stream.uniform(0, 6)
    tinted = np.clip(turned / 255 * gain, 0, 1) ** gamma * 255 + sky
    noisy = np.clip(tinted + stream.normal(0, noise, tinted.shape), 0, 255).round().astype(np.uint8)
    return plain.round().astype(np.uint8), resize(compressed(noisy, quality), SIDE_PX)


def crop(image, field, side, angle, mirrored, away):
    """Cut the share `field` of an image out, turned [deg], shifted [px], averaged over the new pixels."""
    fine = 2 * max(1, round(field * len(image) / side))
    line = torch.linspace(-1, 1, 2 * side * fine + 1)[1::2]
    right, down = torch.meshgrid(line - 2 * away.real / side, line - 2 * away.imag / side, indexing="xy")
    right = -right if mirrored else right
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    points = field * torch.stack([cos * right - sin * down, sin * right + cos * down], -1)
    pixels = torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1))).float()
    sampled = F.grid_sample(pixels[None], points[None], align_corners=False)
    return F.avg_pool2d(sampled, fine)[0].numpy()


def compressed(image, quality):
    """Read a JPEG's pixels, channels last."""
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))
