r"""Text of others (names, messages, ids), made harmless for the place where it is shown: one function a place.

Nothing here changes what a record holds: text is escaped where it is written, by the kind of what is written. HTML
needs no function: the templates escape every value, and `plain` is their last filter.

| place | danger | what is done |
|---|---|---|
| any | characters that steer a terminal or turn the direction of reading | spelt out, as `\u001b` |
| Markdown | HTML, links, images, cells of a table | `<`, `|` and the brackets of links are escaped |
| CSV | a text that a spreadsheet takes for a formula | it begins with `'` |
"""

from __future__ import annotations

import re
from typing import TypeVar

Value = TypeVar("Value")

# Controls but line feed and tab, lone surrogates, line separators, and what turns or hides text (UAX 9, UTS 39).
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_LINK = re.compile(r"\](?=[(\[:])")
_PIPE = re.compile(r"(\\*)\|")
_BLOCK = re.compile(
    r"(?=[#>+*=~`-]|\d+[.)](?:\s|$))"
)  # begins a heading, a quotation, a list, a block of code
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # OWASP's, or escaped already


def plain(text: str) -> str:
    r"""Spell out every character that steers a terminal or turns the direction of reading.

    Example:
        >>> plain("\x1b[31mred\u202e")
        '\\u001b[31mred\\u202e'
    """
    return _STEERING.sub(spelt_out, text)


def spelt_out(found: re.Match[str]) -> str:
    """Spell a match as JSON does, so that JSON stays JSON."""
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def plain_value(value: object) -> object:
    """Spell out a text as `plain` does, and return anything else as it is; Jinja's last filter."""
    return plain(value) if isinstance(value, str) and type(value) is str else value  # not of Markup


def markdown(text: str) -> str:
    r"""Write a text as one line of Markdown, or a cell of a table: it is no HTML, no link, no image, no other cell.

    Example:
        >>> markdown("a|b [x](javascript:y)")
        'a\\|b [x]\\(javascript:y)'
    """
    line = plain(" ".join(text.split())).replace("<", "&lt;")
    return _PIPE.sub(_piped, _LINK.sub(r"]\\", line))


def _piped(found: re.Match[str]) -> str:
    # Readers disagree on whether a backslash before an escaped bar frees it.
    return f"{'&#92;' * len(found[1])}&#124;" if found[1] else r"\|"


def markdown_item(text: str) -> str:
    """Write a text as one item of a list, or a paragraph: it begins no block of its own."""
    return _BLOCK.sub(r"\\", markdown(text), count=1) if _BLOCK.match(text.lstrip()) else markdown(text)


def markdown_code(text: str) -> str:
    """Write a text as code where Markdown can hold it, and else as plain words."""
    return markdown(text) if re.search(r"[`|\\\s&<]", text.replace(" ", "")) else f"`{plain(text)}`"


def csv_cell(value: Value) -> Value | str:
    """Keep a spreadsheet from taking a text for a formula: it then begins with `'`. Numbers stay as they are.

    Source: OWASP, "CSV Injection".

    Example:
        >>> csv_cell("=cmd"), csv_cell("-1.5"), csv_cell(-1.5)
        ("'=cmd", '-1.5', -1.5)
    """
    return csv_id(plain(value)) if isinstance(value, str) else value


def csv_id(text: str) -> str:
    """Write a text that is read back: as `csv_cell` does, with every character kept."""
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def csv_text(cell: str) -> str:
    """Read back a text that `csv_id` wrote."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) and not _is_number(cell) else cell


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII) is not None
