"""Bytes to batches: a memory map and batched augmentation against a DataLoader that decodes and turns PIL images.

Both rotate freely, mirror, crop and resize bilinearly, and give float images in [0, 1]. The files are JPEG of
424 px, as Galaxy Zoo 2's are, centre-cropped and resized as its users do. Results are compared with augmentation
off: the memory map holds what the pipeline decodes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from ours import Size, noise
from PIL import Image
from table import Row, paired
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from astrojepa_bench.data.device import DeviceImages, to_unit
from astrojepa_bench.geometry.views import augment, base_augment

FILE_PX, CROP_PX, SIZE_PX = 424, 256, 64
TURNS = 8  # batches of ours for one of the peer's


class Pictures(Dataset):
    """JPEG files, decoded when they are asked for."""

    def __init__(self, files: list[Path], view: transforms.Compose) -> None:
        self.files, self.view = files, view

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Tensor:
        with Image.open(self.files[row]) as picture:
            return self.view(picture.convert("RGB"))


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Compare one base view a galaxy, and the two global and four local views of LeJEPA."""
    count, repeats = (16, 1) if quick else (128, 5)
    with tempfile.TemporaryDirectory() as folder:
        files = written(Path(folder), count)
        centre = [transforms.CenterCrop(CROP_PX), transforms.Resize(SIZE_PX)]
        plain = DataLoader(Pictures(files, transforms.Compose([*centre, transforms.PILToTensor()])), count)
        stored = next(iter(plain)).numpy()
        path = Path(folder) / "images.npy"
        np.save(path, stored)
        images = DeviceImages(np.load(path, mmap_mode="r"), torch.device("cpu"))
        order = np.random.default_rng(0).permutation(count)
        assert torch.equal(images.raw(order), torch.from_numpy(stored)[torch.from_numpy(order)])
        turned = [
            transforms.RandomRotation(180, transforms.InterpolationMode.BILINEAR),
            transforms.RandomHorizontalFlip(),
        ]
        base = transforms.Compose([transforms.CenterCrop(CROP_PX), *turned, transforms.Resize(SIZE_PX)])
        view = transforms.Compose([base, transforms.RandomResizedCrop(SIZE_PX, (0.36, 1.0), (1.0, 1.0))])
        generator = torch.Generator().manual_seed(0)

        def one_view() -> Tensor:
            return to_unit(base_augment(images.raw(order), generator, mirror=True))

        def six_views() -> Tensor:
            return augment(one_view().repeat(6, 1, 1, 1), generator)

        kinds = (("one view", one_view, base, 1, ">= 20"), ("six views", six_views, view, 6, ""))
        for what, ours, each, views, goal in kinds:
            several = transforms.Compose([*_times(each, views)])
            loader = DataLoader(Pictures(files, several), count, shuffle=True)
            assert next(iter(loader)).flatten(0, -4).shape == ours().shape
            found = paired(
                lambda ours=ours: [ours() for _ in range(TURNS)],
                lambda loader=loader: list(loader),
                repeats,
            )
            low, high = found.spread
            yield Row(
                f"data path, {what} a galaxy, against a DataLoader on JPEG and PIL", count * TURNS / found.ours_s,
                count / found.peer_s, TURNS * found.ratio, "galaxies/s", "" if quick else goal,
                f"{SIZE_PX} px; without augmentation the bytes are equal; the loader in this process",
                (TURNS * low, TURNS * high), "memory",
            )  # fmt: skip


def _times(view: transforms.Compose, views: int) -> list[object]:
    if views == 1:
        return [view, transforms.ToTensor()]
    one = transforms.Compose([view, transforms.ToTensor()])
    return [transforms.Lambda(lambda picture: torch.stack([one(picture) for _ in range(views)]))]


def written(folder: Path, count: int) -> list[Path]:
    """Write JPEG files of smooth noise with a bright middle."""
    small = noise(Size(FILE_PX // 8, 1, 4, 1, 1, count), count).images
    middle = np.hypot(*np.mgrid[-1 : 1 : FILE_PX * 1j, -1 : 1 : FILE_PX * 1j])
    files = []
    for row, each in enumerate(small):
        sky = Image.fromarray(np.moveaxis(each, 0, -1)).resize((FILE_PX, FILE_PX), Image.Resampling.BICUBIC)
        lit = np.asarray(sky) + 150 * np.exp(-20 * middle[..., None] ** 2)
        files.append(folder / f"{row}.jpg")
        Image.fromarray(lit.clip(0, 255).astype(np.uint8)).save(files[-1], quality=90)
    return files
