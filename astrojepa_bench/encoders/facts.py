"""What everything else is built on: the width of an encoder and its grid of patches."""

from __future__ import annotations

from astrojepa_bench.declarations import is_whole, shown
from astrojepa_bench.errors import ContractError
from astrojepa_bench.geometry.grids import PatchGrid
from astrojepa_bench.roles import Encoder
from astrojepa_bench.types import ImageSpec


def check_facts(encoder: Encoder, spec: ImageSpec) -> None:
    """Look at a built encoder before anything is built around it.

    Raises:
        ContractError: its width is none, its grid does not tile the images, or a module in it hides a method.
    """
    hidden = next((name for name, _ in encoder.named_children() if hasattr(Encoder, name)), None)
    if hidden is not None:  # Python finds the method first, so the module would never be called
        raise ContractError(
            f"the encoder's module '{hidden}' has the name of a method of Encoder; give it another name"
        )
    dim: object = getattr(encoder, "dim", None)
    if not is_whole(dim):
        raise ContractError(f"the encoder's dim is {shown(dim)}; expected a whole number from 1 on")
    grid: object = getattr(encoder, "grid", None)
    if grid is None:
        return
    if not isinstance(grid, PatchGrid):
        raise ContractError(
            f"the encoder's grid is {shown(grid)}; expected a PatchGrid, or None without patches"
        )
    sides = {"rows": grid.rows, "columns": grid.columns, "patch_px": grid.patch_px}
    wrong = next((name for name, value in sides.items() if not is_whole(value)), None)
    if wrong is not None or {grid.rows * grid.patch_px, grid.columns * grid.patch_px} != {spec.size_px}:
        raise ContractError(
            f"the encoder's grid {shown(grid)} does not tile images of {spec.size_px} px; use PatchGrid.tiling"
        )
