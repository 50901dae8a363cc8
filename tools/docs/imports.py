"""Imports between the modules of the package: lazy ones and those for type checkers too."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "lightning_mia"
LAYERS = (  # from the bottom; a folder imports from lower layers only
    ("utilities",),
    ("corpora", "evaluation"),
    ("splits", "models", "report"),
    ("signals", "training"),
    ("attacks",),
    ("audit",),
    ("__init__", "__main__"),
)


@dataclass(frozen=True)
class Import:
    """One module imports another.

    Attributes:
        importer: dotted name of the importing module.
        imported: dotted name of the imported module.
        line: line number of the statement.
    """

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def modules(root: Path = ROOT) -> dict[str, Path]:
    """All modules of the package by dotted name; a package's `__init__` has the name of the package."""
    names = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(root: Path = ROOT) -> list[Import]:
    """All imports of modules of the package by others of it."""
    known = modules(root)
    return [statement for name, path in known.items() for statement in _imports_of(name, path, known)]


def _imports_of(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: relative import; this package uses absolute ones")
            module = str(node.module)
            targets = [full if (full := f"{module}.{alias.name}") in known else module for alias in node.names]
        else:
            continue
        for target in dict.fromkeys(targets):
            if target in known and target != name:
                yield Import(name, target, node.lineno)


def folder_of(module: str) -> str:
    """The top-level folder of a module.

    >>> folder_of("lightning_mia.models.layers.masking"), folder_of("lightning_mia")
    ('models', '__init__')
    """
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def layer(module: str) -> int:
    """Number of the layer of a module's folder, 1 = lowest.

    Raises:
        ValueError: the folder has no layer.
    """
    for number, folders in enumerate(LAYERS, start=1):
        if folder_of(module) in folders:
            return number
    raise ValueError(f"{module} is in a folder without a layer; add {folder_of(module)} to LAYERS")


def upward(statements: list[Import]) -> list[Import]:
    """Imports from another folder that do not lead to a lower layer."""
    return [
        statement
        for statement in statements
        if folder_of(statement.importer) != folder_of(statement.imported)
        and layer(statement.imported) >= layer(statement.importer)
    ]


def cycles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of two nodes or more, each sorted by name (Tarjan, 1972).

    >>> cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    [['a', 'b', 'c']]
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def edges(statements: list[Import]) -> dict[str, set[str]]:
    """Imported modules of each module."""
    result: dict[str, set[str]] = {}
    for statement in statements:
        result.setdefault(statement.importer, set()).add(statement.imported)
    return result


def folder_edges(statements: list[Import]) -> dict[str, set[str]]:
    """Imported folders of each folder, itself left out."""
    result: dict[str, set[str]] = {}
    for statement in statements:
        importer, imported = folder_of(statement.importer), folder_of(statement.imported)
        if importer != imported:
            result.setdefault(importer, set()).add(imported)
    return result
