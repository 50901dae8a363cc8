"""Count the package's folders, modules, docstrings, examples and lines.

    python -m tools.docs.code_counts [ROOT]

ROOT is a checkout (default: this one).
"""

import ast
import statistics
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tools.docs.imports import PACKAGE, ROOT, cycles, edges, folder_edges, folder_of, imports, modules, upward

SHORT = 40  # lines
Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def counts(root: Path = ROOT) -> dict[str, str]:
    """Count a checkout: name → figure."""
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules(root).items()}
    statements = imports(root)
    between_folders = folder_edges(statements)
    lengths = [_lines(path) for path in modules(root).values()]
    summaries = sorted(words for tree in trees.values() for words in _summary_lengths(tree))
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    public = _public_classes(trees)
    with_example = sum(">>>" in (ast.get_docstring(node) or "") for node in public)
    return {
        "entries on the package's top level": str(_n_entries(root / PACKAGE)),
        "layers (longest chain of imports between them)": str(_longest_chain(between_folders)),
        "upward imports": str(len(upward(statements))) if _has_layers(trees) else "–",
        "folders in import cycles": str(sum(map(len, cycles(between_folders)))),
        "modules in import cycles": str(sum(map(len, cycles(edges(statements))))),
        "modules": str(len(lengths)),
        f"modules under {SHORT} lines": str(sum(n < SHORT for n in lengths)),
        "classes (dataclasses)": f"{len(classes)} ({sum(map(_is_dataclass, classes))})",
        "docstring summary, words, median / p90": f"{statistics.median(summaries):g} / {_p90(summaries)}",
        "public classes with an example": f"{with_example} of {len(public)}",
        "lines: package / tests / tools": " / ".join(
            f"{sum(map(_lines, (root / folder).rglob('*.py'))):,}" for folder in (PACKAGE, "tests", "tools")
        ),
    }


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _n_entries(package: Path) -> int:
    return sum(not path.name.startswith((".", "__pycache__")) and path.name != "configs" for path in package.iterdir())


def _has_layers(trees: Mapping[str, ast.Module]) -> bool:
    return {"utilities", "audit"} <= {folder_of(name) for name in trees if name.count(".") > 1}


def _longest_chain(graph: Mapping[str, set[str]]) -> int:
    """Count nodes on the longest path, cycles as one."""
    representative = {node: group[0] for group in cycles(dict(graph)) for node in group}

    def name(node: str) -> str:
        return representative.get(node, node)

    condensed: dict[str, set[str]] = {}
    for node, targets in graph.items():
        condensed.setdefault(name(node), set()).update(name(target) for target in targets if name(target) != name(node))

    @cache
    def depth(node: str) -> int:
        return 1 + max(map(depth, condensed.get(node, ())), default=0)

    return max(map(depth, condensed))


def _summary_lengths(tree: ast.Module) -> Iterator[int]:
    """Count the words of every docstring's first line."""
    for node in ast.walk(tree):
        if isinstance(node, Definition) and (docstring := ast.get_docstring(node)):
            yield len(docstring.splitlines()[0].split())


def _p90(ordered: list[int]) -> int:
    return ordered[int(0.9 * len(ordered))]


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def _public_classes(trees: Mapping[str, ast.Module]) -> list[ast.ClassDef]:
    """List the classes named in any `__all__`."""
    names: set[str] = set()
    for tree in trees.values():
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and "__all__" in ast.unparse(node).split("=")[0]:
                names |= {text.value for text in ast.walk(node) if isinstance(text, ast.Constant)}  # type: ignore[misc]
    classes = (node for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef))
    return [node for node in classes if node.name in names]


def main(arguments: list[str]) -> None:
    """Print the counts as a Markdown table."""
    rows = counts(Path(arguments[0]).resolve() if arguments else ROOT)
    print("| count | |\n|---|--:|")
    print("\n".join(f"| {name} | {figure} |" for name, figure in rows.items()))


if __name__ == "__main__":
    main(sys.argv[1:])
