"""Write `own_galaxies.ipynb` from `own_galaxies.template.md`: text and code become cells, and every cell is run.

    python docs/write_notebook.py

Blocks of Python in the template are the cells of code; what they print and draw is kept. Needs nbclient and
ipykernel (`pip install -e ".[dev]"`).
"""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
TEMPLATE, NOTEBOOK = HERE / "own_galaxies.template.md", HERE / "own_galaxies.ipynb"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
LONGEST_S = 900  # of one cell


def cells_of(text: str) -> list[tuple[str, str]]:
    """Divide a template into cells, each its kind and its source."""
    parts = BLOCK.split(text)
    kinds = ("markdown", "code")
    cells = [(kinds[number % 2], part.strip()) for number, part in enumerate(parts)]
    return [(kind, source) for kind, source in cells if source]


def notebook_of(text: str) -> nbformat.NotebookNode:
    """Make the notebook of a template, not run yet; equal templates give equal notebooks."""
    made = nbformat.v4.new_notebook()
    for number, (kind, source) in enumerate(cells_of(text)):
        new = nbformat.v4.new_markdown_cell if kind == "markdown" else nbformat.v4.new_code_cell
        made.cells.append(new(source, id=f"cell-{number}"))
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run every cell in a folder, as a reader does; the first that fails ends it.

    Raises:
        CellExecutionError: a cell failed.
    """
    NotebookClient(notebook, timeout=LONGEST_S, kernel_name="python3", record_timing=False).execute(
        cwd=str(folder)
    )
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = {}
            _shrink(output.get("data", {}))
    notebook.metadata.language_info = {"name": "python"}


def _shrink(data: dict[str, str]) -> None:
    """Keep a picture as JPEG: noise, of which galaxies are full, is large as PNG."""
    if "image/png" in data:
        picture = Image.open(io.BytesIO(base64.b64decode(data.pop("image/png")))).convert("RGB")
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=88)
        data["image/jpeg"] = base64.b64encode(stream.getvalue()).decode()


def main() -> int:
    """Run the template and write the notebook."""
    notebook = notebook_of(TEMPLATE.read_text())
    run(notebook, HERE)
    nbformat.write(notebook, NOTEBOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
