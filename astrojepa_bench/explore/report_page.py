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
class Table:
    """A table of texts.

    Attributes:
        headings: of the columns.
        rows: one text a column.
        caption: the text above it.
        numbers: columns aligned to the right.
        code: whether all columns but the first are set as code.
        link: cells with this prefix are links.
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


def render(title: str, subtitle: str, sections: Iterable[ReportSection]) -> str:
    """Render the page. It loads nothing, runs no script, and escapes every text."""
    templates = Environment(
        loader=PackageLoader("astrojepa_bench.explore"),
        autoescape=True,
        finalize=plain_value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("report.html").render(
        title=title, subtitle=subtitle, sections=list(sections)
    )
