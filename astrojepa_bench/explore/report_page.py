"""The page of a report: sections of text, tables and pictures, written as one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from astrojepa_bench.explore.figures import picture_bytes

CSS_PX_PER_INCH = 96


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: what it says; markup in it is shown, not obeyed.
        kind: `text`, `absent` (why something is not here) or `warning`.
    """

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class ReportPicture:
    """A picture inside the page.

    Attributes:
        alt: what it shows, for those who cannot see it.
        caption: what stands below it.
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
        """Draw a figure."""
        width, height = (round(CSS_PX_PER_INCH * float(inches)) for inches in figure.get_size_inches())
        return cls(alt, caption, base64.b64encode(picture_bytes(figure)).decode(), width, height)


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        headings: of the columns.
        rows: one text a column.
        caption: what stands above it.
        numbers: columns that are set flush right.
        code: whether all but the first column are written as code.
        link: cells that start so are links.
    """

    kind: ClassVar[str] = "table"
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numbers: frozenset[int] = frozenset()
    code: bool = False
    link: str = ""


Part: TypeAlias = Text | ReportPicture | Table


@dataclass(frozen=True)
class ReportSection:
    """One heading and what stands below it.

    Attributes:
        title: the heading.
        parts: in order.
    """

    title: str
    parts: list[Part] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """Name it in links inside the page."""
        return self.title.lower().replace(" ", "-")


def render(title: str, subtitle: str, sections: Iterable[ReportSection]) -> str:
    """Write the page. It loads nothing, runs no script, and shows every text as it is, whatever stands in it."""
    templates = Environment(
        loader=PackageLoader("astrojepa_bench.explore"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("report.html").render(
        title=title, subtitle=subtitle, sections=list(sections)
    )
