"""The page of a report: sections of text, tables and pictures, rendered as one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from astrojepa_bench.escaping import plain_value
from astrojepa_bench.explore.figures import picture_bytes

CSS_PX_PER_INCH = 96
MANY = 7  # columns; with more, rows become lists on a page that is not wide


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: the words; markup in them is shown, not interpreted.
        kind: `text`, `absent` (why a part is missing) or `warning`.
    """

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class ReportPicture:
    """A picture inside the page.

    Attributes:
        alt: a description for readers who cannot see it.
        caption: the text below it.
        content: the PNG, in base64.
        wide_px, high_px: its size on the page [CSS pixel].
    """

    kind: ClassVar[str] = "picture"
    alt: str
    caption: str
    content: str
    wide_px: int
    high_px: int

    @classmethod
    def of(cls, figure: Figure, alt: str, caption: str = "") -> ReportPicture:
        """Render a figure."""
        width, height = (round(CSS_PX_PER_INCH * float(inches)) for inches in figure.get_size_inches())
        return cls(alt, caption, base64.b64encode(picture_bytes(figure)).decode(), width, height)


@dataclass(frozen=True)
class TableCell:
    """A cell of a table.

    Attributes:
        text: what stands in it.
        note: a word on it, smaller, below.
        link: an address that is opened when a reader asks for it; nothing of it is loaded before.
    """

    text: str
    note: str = ""
    link: str = ""


@dataclass(frozen=True)
class Table:
    """A table of texts. Where the page is too narrow for its columns, each row stands as a list.

    Attributes:
        headings: of the columns.
        rows: one cell a column, or its text alone.
        caption: the text above it.
        numbers: columns aligned to the right.
        code: whether all columns but the first are set as code.
    """

    kind: ClassVar[str] = "table"
    headings: Sequence[str]
    rows: Sequence[Sequence[str | TableCell]]
    caption: str = ""
    numbers: frozenset[int] = frozenset()
    code: bool = False

    @property
    def is_wide(self) -> bool:
        """Whether it needs a wide page."""
        return len(self.headings) > MANY

    @property
    def cells(self) -> list[list[TableCell]]:
        """Its rows, cell by cell."""
        return [
            [cell if isinstance(cell, TableCell) else TableCell(cell) for cell in row] for row in self.rows
        ]


Part: TypeAlias = Text | ReportPicture | Table


@dataclass(frozen=True)
class ReportSection:
    """A section of the page.

    Attributes:
        title: its heading.
        parts: its content, in order.
    """

    title: str
    parts: list[Part] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """Name of the section in links inside the page."""
        return self.title.lower().replace(" ", "-")


def render(
    title: str, subtitle: str, sections: Iterable[ReportSection], terms: Sequence[tuple[str, str]] = ()
) -> str:
    """Render the page. It loads nothing, runs no script, and escapes every text.

    Args:
        title: its heading.
        subtitle: a line below.
        sections: its content.
        terms: what the galaxies may be used for and how to cite them, each with its name, for the foot of the page.
    """
    templates = Environment(
        loader=PackageLoader("astrojepa_bench.explore"),
        autoescape=True,
        finalize=plain_value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("report.html").render(
        title=title, subtitle=subtitle, sections=list(sections), terms=list(terms)
    )
