"""What the source of a module says: what it imports, what its definitions use, and a hash of what it does.

Nothing is executed here, and nothing is known of plugins but what lies beside one: see `versions`.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeGuard

from astrojepa_bench.neighbours import homed


@dataclass(frozen=True)
class ImportedName:
    """One name bound by an import statement: `from module import name as bound`; `import module` has no name."""

    module: str
    name: str | None
    bound: str

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that it may load: a name can be a submodule."""
        if self.name in (None, "*"):
            return (self.module, *self.packages)
        return (self.module, f"{self.module}.{self.name}")

    @property
    def packages(self) -> tuple[str, ...]:
        """What `import package.module` binds beside the module: its package, with all that this defines."""
        if self.name is not None or self.bound != self.module:
            return ()
        return tuple(accumulate(self.module.split(".")[:-1], "{}.{}".format))


@dataclass(frozen=True, eq=False)
class ModuleSource:
    """A module as it was imported.

    Attributes:
        namespace: its globals; held, so that no other module gets their address.
        tree: its syntax tree without docstrings and annotations; None where there is no source.
    """

    namespace: dict[str, Any]
    tree: ast.Module | None

    @classmethod
    def of(cls, namespace: dict[str, Any], text: bytes | None = None) -> ModuleSource:
        """Parse the text of a module, that of its file if None is given."""
        try:
            text = Path(namespace.get("__file__") or "").read_bytes() if text is None else text
            return cls(namespace, _Essence().visit(ast.parse(text)))
        except (OSError, SyntaxError, ValueError):
            return cls(namespace, None)

    @property
    def name(self) -> str:
        """The module's full name."""
        return str(self.namespace["__name__"])

    @functools.cached_property
    def imports(self) -> tuple[ImportedName, ...]:
        """What its import statements bind, those inside functions included."""
        nodes = ast.walk(self.tree) if self.tree else ()
        return tuple(found for node in nodes for found in _imported(node, self.namespace))

    @functools.cached_property
    def handed_on(self) -> dict[str, ImportedName]:
        """The names of its top level that an import statement binds by name, and that it does not change."""
        body = self.tree.body if self.tree else []
        found = {each.bound: each for node in body for each in _imported(node, self.namespace)}
        stored = {use.id for use in _names(body) if _is_stored(use)}
        treated = {use.id for use in _names([node for node in body if _may_change_names(node)])}
        own = {"*"} | stored | treated | self.uses.keys()  # several stars would be one name
        return {bound: each for bound, each in found.items() if bound not in own}

    @functools.cached_property
    def uses(self) -> dict[str, frozenset[str]]:
        """Its classes, functions and variables, each with the names that it uses."""
        found: dict[str, frozenset[str]] = {}
        for node in _top_level(self.tree.body if self.tree else []):
            bound = [node.name] if isinstance(node, _DEFINITIONS) else []
            if isinstance(node, ast.Assign):  # `Alias = Rings`, `TABLE = {"rings": Rings}`
                bound = [use.id for use in ast.walk(node) if _is_stored(use)]
            used = frozenset(use.id for use in _names([node]))
            found |= {name: found.get(name, frozenset()) | used for name in bound}
        return found

    @functools.cached_property
    def digest(self) -> str | None:
        """A hash of what it does; comments, docstrings, layout and annotations do not move it."""
        return None if self.tree is None else digest_of(_shape(self.tree))


def digest_of(value: object) -> str:
    """Hash a value of plain lists, mappings and texts: 16 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_DEFINITIONS = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Find the statements that a module executes, those inside `if`, `try` and the like included."""
    for node in body:
        yield node
        if not isinstance(node, _DEFINITIONS):
            blocks = [getattr(node, field, []) for field in ("body", "orelse", "finalbody")]
            blocks += [each.body for each in (*getattr(node, "handlers", []), *getattr(node, "cases", []))]
            yield from _top_level(inner for block in blocks for inner in block)


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _names(nodes: list[ast.stmt]) -> Iterator[ast.Name]:
    return (use for node in nodes for use in ast.walk(node) if isinstance(use, ast.Name))


def _may_change_names(node: ast.stmt) -> bool:
    """Whether a statement of the top level may change a value that it names, as `TABLE["depth"] = 3` does."""
    targets = node.targets if isinstance(node, ast.Assign) else [node]
    return not all(
        isinstance(each, ast.Name | ast.Import | ast.ImportFrom | _DEFINITIONS) for each in targets
    )


def _imported(node: ast.AST, namespace: Mapping[str, Any]) -> Iterator[ImportedName]:
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return
    package = namespace.get("__package__") or str(namespace["__name__"]).rpartition(".")[0]
    node = homed(node, package)  # as it was executed, if its module was given by path
    if isinstance(node, ast.Import):
        yield from (ImportedName(each.name, None, each.asname or each.name) for each in node.names)
    else:
        with suppress(ImportError):  # a relative import that leaves its package fails when it runs
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from (ImportedName(module, each.name, each.asname or each.name) for each in node.names)


class _Essence(ast.NodeTransformer):
    """Leaves out of a syntax tree what cannot change a number: docstrings, annotations and type aliases."""

    def visit(self, node: ast.AST) -> Any:  # noqa: ANN401 a node, several or none take its place
        match node:
            case ast.Expr(value=ast.Constant(value=str())):  # a docstring, or a comment in all but name
                return None
            case ast.AnnAssign(value=None):
                return None
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                return self.visit(ast.Assign([target], value))
            case ast.arg(arg=name):
                return ast.arg(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                node.returns = None
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), orelse=other):
                rest = ast.Module(other, [])
                self.generic_visit(rest)
                return rest.body
        return None if type(node).__name__ == "TypeAlias" else self.generic_visit(node)


_NO_CODE = frozenset({"type_comment", "type_ignores", "type_params"})


def _shape(node: object) -> object:
    """Reduce a syntax tree to nested lists that are the same on every Python that parses it.

    `ast.dump` is not: it has changed how it writes empty fields.
    """
    if isinstance(node, list):
        return [_shape(item) for item in node]
    if isinstance(node, ast.Constant):
        return ["Constant", repr(node.value)]
    if isinstance(node, ast.AST):
        fields = {name: _shape(value) for name, value in ast.iter_fields(node) if name not in _NO_CODE}
        return [type(node).__name__, {name: kept for name, kept in fields.items() if kept not in (None, [])}]
    return None if node is None else str(node)
