"""How the files that can be written end, by what they are; no library is imported, so that `--help` may read it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

PICTURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg")
PAGES = (".html", ".htm")
WEIGHTS = (".safetensors",)
TABLE_FORMATS: Mapping[str, str] = {
    ".csv": "csv", ".parquet": "parquet", ".fits": "fits", ".vot": "votable", ".xml": "votable",
}  # fmt: skip
LATENT_FORMATS: Mapping[str, str] = {".h5": "hdf5", ".npz": "npz", ".parquet": "parquet", ".fits": "fits"}
ENDINGS: Mapping[str, Collection[str]] = {
    "picture": PICTURES, "page": PAGES, "table": TABLE_FORMATS, "latents": LATENT_FORMATS, "weights": WEIGHTS,
}  # fmt: skip
"""What a command can write, by the word of its flag."""


def listed(endings: Collection[str]) -> str:
    """Name endings in a sentence.

    Example:
        >>> listed(PAGES), listed(WEIGHTS)
        ('.html or .htm', '.safetensors')
    """
    *first, last = endings
    return f"{', '.join(first)} or {last}" if first else last
