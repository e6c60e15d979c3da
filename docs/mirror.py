"""Hook of MkDocs: the site has the pages of this repository, each under the path that it has here.

So a link between two pages works on the site as it does in the repository, and MkDocs checks it. Files that pages
link to and that are no pages (pictures, tables, scripts) are copied along. A notebook becomes a page with its
pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[1]
PATTERNS = ("*.md", "docs/*.md", "docs/*.ipynb", "plugins/*.md", "leaderboard/**/*.md", "benchmarks/**/*.md")
STYLE = "docs/site.css"
LINK = re.compile(r"\]\(([^)#:\s]+)")


@event_priority(100)  # before plugins that look at files
def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Take the pages of the repository in place of what lies in one folder, and what they link to."""
    theirs = [file for file in files if Path(file.abs_src_path or "").parent != ROOT / "docs"]
    pages = sorted({path for pattern in PATTERNS for path in ROOT.glob(pattern)})
    found = {path.relative_to(ROOT).as_posix(): path for path in pages}
    found = {name: path for name, path in found.items() if not name.endswith(".template.md")}
    linked = {normpath(join(dirname(name), link)) for name, path in found.items() for link in _links(path)}
    files_of_them = {
        name: ROOT / name for name in sorted({*linked, STYLE} - {*found}) if (ROOT / name).is_file()
    }
    notebooks = {name: found.pop(name) for name in [*found] if name.endswith(".ipynb")}
    ours = [_file(name, path, config) for name, path in {**found, **files_of_them}.items()]
    of_notebooks = (file for name, path in notebooks.items() for file in _page_of(name, path, config))
    return Files([*theirs, *ours, *of_notebooks])


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Read GitHub's dialect: details hold Markdown, marks of claims are no text; a notebook is a page here."""
    text = re.sub(r"(?<!`)<!--.*?-->(?!`)", "", markdown, flags=re.DOTALL).replace(
        "<details>", '<details markdown="1">'
    )
    return re.sub(r"(\]\([^):]+)\.ipynb\b", r"\1.md", text)


def _links(path: Path) -> list[str]:
    return LINK.findall(path.read_text(encoding="utf-8")) if path.suffix == ".md" else []


def _page_of(name: str, path: Path, config: MkDocsConfig) -> Iterator[File]:
    """Make a page of a notebook as it was executed, and a file of each of its pictures."""
    stem = Path(name).stem
    resources = {"unique_key": stem, "output_files_dir": f"{stem}_files"}
    text, told = MarkdownExporter().from_filename(str(path), resources=resources)
    text = re.sub(r'<table [^>]*class="dataframe"[^>]*>', "<table>", text)  # the page's own look
    yield File.generated(config, str(Path(name).with_suffix(".md")), content=text)
    for picture, content in told["outputs"].items():
        yield File.generated(config, join(dirname(name), picture), content=content)


def _file(name: str, path: Path, config: MkDocsConfig) -> File:
    file = File.generated(config, name, abs_src_path=str(path))
    if file.is_documentation_page() and (path.parent / "index.html").exists():  # a page of its own lies there
        file.dest_uri = f"{name.removesuffix('.md')}.html"
        file.url = file.dest_uri
    return file
