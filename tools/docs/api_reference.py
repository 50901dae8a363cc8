"""API reference: public names, and internals folder by folder."""

import inspect
from pathlib import Path

import lightning_mia
from lightning_mia import attacks, metrics

ROOT = Path(__file__).parent.parent.parent
FOLDERS = {  # in the order in which an audit uses them
    "audit": "Run an audit",
    "corpora": "Corpora",
    "splits": "Splits",
    "models": "Models",
    "training": "Training",
    "signals": "Signals",
    "attacks": "Attacks",
    "evaluation": "Evaluation",
    "report": "Report",
    "utilities": "Errors",
}
INTRODUCTION = """# Public names

Import these names from `lightning_mia`; each is loaded on first use:

    from lightning_mia import AuditOptions, AuditTrainer, Manifest, SpeechDataModule, TERA, UtteranceDesign

In YAML, the class name is enough: `class_path: TERA`.
"""


def folders() -> list[str]:
    """List the package's folders in audit order."""
    present = {path.parent.name for path in (ROOT / "lightning_mia").glob("*/__init__.py")}
    return [folder for folder in FOLDERS if folder in present]


def modules(folder: str) -> list[str]:
    """List the dotted names of modules, without `__init__`."""
    paths = [path for path in sorted((ROOT / "lightning_mia" / folder).rglob("*.py")) if path.name != "__init__.py"]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]


def public_names() -> dict[str, list[str]]:
    """List the dotted paths of public names by folder, sorted."""
    paths: dict[str, list[str]] = {folder: [] for folder in FOLDERS}
    for name in sorted(lightning_mia.__all__, key=str.lower):
        if name != "__version__":
            module = inspect.getmodule(getattr(lightning_mia, name))
            assert module is not None
            paths[module.__name__.split(".")[1]].append(f"{module.__name__}.{name}")
    return {folder: names for folder, names in paths.items() if names}


def functions_of_arrays() -> list[str]:
    """List the dotted paths of the functions of arrays, and of the metrics."""
    functions = [getattr(attacks, name) for name in attacks.__all__ if inspect.isfunction(getattr(attacks, name))]
    paths = [
        f"{each.__module__}.{each.__name__}" for each in functions if "target" in inspect.signature(each).parameters
    ]
    return [*paths, *(f"lightning_mia.metrics.{name}" for name in metrics.__all__)]


def public_page() -> str:
    """Make the page of public names, one section per folder."""
    parts = [INTRODUCTION]
    for folder, names in public_names().items():
        parts += [f"## {FOLDERS[folder]}", *map(_entry, names)]
    parts += ["## Functions of arrays, and metrics", *map(_entry, functions_of_arrays())]
    return "\n\n".join(parts) + "\n"


def _entry(name: str) -> str:
    return f"::: {name}\n    options: {{show_root_heading: true}}"


def page(folder: str) -> str:
    """Make the page of internals, one section per module."""
    init = ROOT / "lightning_mia" / folder / "__init__.py"
    parts = [f"# {folder}", init.read_text(encoding="utf-8").split('"""')[1]]
    for module in modules(folder):
        parts += [f"## {module.removeprefix(f'lightning_mia.{folder}.')}", f"::: {module}"]
    return "\n\n".join(parts) + "\n"
