"""Shipped configs: find, list and copy them."""

from collections.abc import Sequence
from pathlib import Path

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_text

PREFIX = "configs/"
SUFFIXES = (".yaml", ".sh")


def folder() -> Path:
    """Return the folder of the shipped configs.

    It is inside the installed package, or next to the package in a checkout.
    """
    package = Path(__file__).parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def find(name: str) -> Path | None:
    """Find a shipped config by name.

    The name may begin with `configs/`.

    >>> find("configs/audit/demo.yaml") == find("audit/demo.yaml") == folder() / "audit" / "demo.yaml"
    True
    """
    path = folder() / name.removeprefix(PREFIX)
    return path if path.is_file() else None


def with_shipped_configs(arguments: Sequence[str]) -> list[str]:
    """Replace `-c configs/…` by paths of shipped configs.

    Local files take precedence.

    >>> with_shipped_configs(["-c", "mine.yaml"])
    ['-c', 'mine.yaml']
    """
    replaced = list(arguments)
    for position, argument in enumerate(arguments):
        if argument in ("-c", "--config") and position + 1 < len(arguments):
            replaced[position + 1] = _path(arguments[position + 1])
        elif argument.startswith(("--config=", "-c=")):
            option, name = argument.split("=", 1)
            replaced[position] = f"{option}={_path(name)}"
    return replaced


def _path(name: str) -> str:
    shipped = find(name) if name.startswith(PREFIX) and not Path(name).exists() else None
    return str(shipped) if shipped else name


def listing(prefix: str = "") -> str:
    """List configs, one per line: name and first comment.

    Raises:
        InputError: no config has this prefix.
    """
    paths = {path.relative_to(folder()).as_posix(): path for path in folder().rglob("*") if path.suffix in SUFFIXES}
    names = sorted(name for name in paths if name.startswith(prefix.removeprefix(PREFIX)))
    if not names:
        raise InputError(f"no shipped config begins with {prefix!r}; `lightning-mia configs` lists all of them")
    width = max(map(len, names))
    return "\n".join(f"{name:<{width}}  {_first_comment(paths[name])}".rstrip() for name in names)


def _first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next((line for line in lines if not line.startswith("#!")), "")
    return first.removeprefix("#").strip().rstrip(":") if first.startswith("#") else ""


def copy(name: str, to: str | Path) -> Path:
    """Copy a shipped config to a file or folder.

    Returns:
        The copy.

    Raises:
        InputError: there is no such config, or the file exists.
    """
    source = find(name)
    if source is None:
        raise InputError(f"no shipped config is called {name!r}; `lightning-mia configs` lists all of them")
    target = Path(to) / source.name if Path(to).is_dir() else Path(to)
    if target.exists():
        raise InputError(f"{target} exists; give another name, or delete it")
    write_text(target, source.read_text(encoding="utf-8"))
    return target
