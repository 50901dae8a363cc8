"""Imports between modules, including lazy and type-checking ones."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "lightning_mia"
LAYERS = (  # lowest first; a folder imports from lower layers only
    ("utilities",),
    ("corpora", "evaluation"),
    ("splits", "models", "report"),
    ("signals", "training"),
    ("attacks",),
    ("audit",),
    ("__init__", "__main__", "metrics"),
)


@dataclass(frozen=True)
class Import:
    """Import of one module by another.

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
    """Map dotted names to files; `__init__` has its folder's name."""
    names = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(root: Path = ROOT) -> list[Import]:
    """List the imports between modules of the package."""
    known = modules(root)
    return [statement for name, path in known.items() for statement in _parse_imports(name, path, known)]


def _parse_imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: relative import; use an absolute one")
            module = str(node.module)
            targets = [full if (full := f"{module}.{alias.name}") in known else module for alias in node.names]
        else:
            continue
        for target in dict.fromkeys(targets):
            if target in known and target != name:
                yield Import(name, target, node.lineno)


def folder_of(module: str) -> str:
    """Get the top-level folder of a module.

    >>> folder_of("lightning_mia.models.layers.masking"), folder_of("lightning_mia")
    ('models', '__init__')
    """
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def layer(module: str) -> int:
    """Get the layer of a module, 1 = lowest.

    Raises:
        ValueError: the folder has no layer.
    """
    for number, folders in enumerate(LAYERS, start=1):
        if folder_of(module) in folders:
            return number
    raise ValueError(f"{module} is in a folder without a layer; add {folder_of(module)} to LAYERS")


def upward(statements: list[Import]) -> list[Import]:
    """Select imports across folders that do not lead down."""
    return [
        statement
        for statement in statements
        if folder_of(statement.importer) != folder_of(statement.imported)
        and layer(statement.imported) >= layer(statement.importer)
    ]


def cycles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Find strongly connected components with several nodes (Tarjan, 1972).

    >>> cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    [['a', 'b', 'c']]
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

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
                components.append(sorted(component))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return components


def edges(statements: list[Import]) -> dict[str, set[str]]:
    """Map every module to the modules it imports."""
    result: dict[str, set[str]] = {}
    for statement in statements:
        result.setdefault(statement.importer, set()).add(statement.imported)
    return result


def folder_edges(statements: list[Import]) -> dict[str, set[str]]:
    """Map every folder to the other folders it imports."""
    result: dict[str, set[str]] = {}
    for statement in statements:
        importer, imported = folder_of(statement.importer), folder_of(statement.imported)
        if importer != imported:
            result.setdefault(importer, set()).add(imported)
    return result
