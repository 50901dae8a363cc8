"""The reference of the code: one page a package, one section a module, from the docstrings."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FLOW = (
    "corpus",
    "split",
    "data",
    "models",
    "training",
    "probe",
    "attacks",
    "controls",
    "evaluation",
    "report",
    "fleet",
)


def packages() -> list[str]:
    """All packages: as an audit flows, and then the others by name."""
    there = sorted(path.parent.name for path in (ROOT / "lightning_mia").glob("*/__init__.py"))
    return [*FLOW, *(name for name in there if name not in FLOW)]


def modules(package: str) -> list[str]:
    """Dotted names of all modules of a package that hold code, `__init__` left out."""
    folder = ROOT / "lightning_mia" / package
    paths = [path for path in sorted(folder.rglob("*.py")) if path.name != "__init__.py"]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]


def page(package: str) -> str:
    """One section a module."""
    init = ROOT / "lightning_mia" / package / "__init__.py"
    first = init.read_text(encoding="utf-8").split('"""')[1]
    parts = [f"# {package}", first]
    for module in modules(package):
        parts += [f"## {module.removeprefix(f'lightning_mia.{package}.')}", f"::: {module}"]
    return "\n\n".join(parts) + "\n"
