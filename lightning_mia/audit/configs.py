"""The configs that come with the package: found from anywhere, listed, copied."""

from collections.abc import Sequence
from pathlib import Path

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_text

PREFIX = "configs/"
SUFFIXES = (".yaml", ".sh")


def folder() -> Path:
    """The folder of the configs: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def find(name: str) -> Path | None:
    """The shipped config of this name, with or without `configs/` in front; None where there is none."""
    path = folder() / name.removeprefix(PREFIX)
    return path if path.is_file() else None


def with_paths(arguments: Sequence[str]) -> list[str]:
    """The same arguments, in which `-c configs/…` names a shipped config where there is no such file here."""
    found = list(arguments)
    for place, argument in enumerate(arguments):
        if argument in ("-c", "--config") and place + 1 < len(arguments):
            found[place + 1] = _path(arguments[place + 1])
        elif argument.startswith(("--config=", "-c=")):
            option, name = argument.split("=", 1)
            found[place] = f"{option}={_path(name)}"
    return found


def _path(name: str) -> str:
    shipped = find(name) if name.startswith(PREFIX) and not Path(name).exists() else None
    return str(shipped) if shipped else name


def listing(beginning: str = "") -> str:
    """One line a config: its name and its first comment.

    Raises:
        InputError: no config begins so.
    """
    found = (path for path in folder().rglob("*") if path.suffix in SUFFIXES)
    names = {path.relative_to(folder()).as_posix(): path for path in found}
    chosen = sorted(name for name in names if name.startswith(beginning.removeprefix(PREFIX)))
    if not chosen:
        raise InputError(f"No config that ships begins with {beginning!r}; `lightning-mia configs` lists them all")
    width = max(map(len, chosen))
    return "\n".join(f"{name:<{width}}  {_first_comment(names[name])}".rstrip() for name in chosen)


def _first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next((line for line in lines if not line.startswith("#!")), "")
    return first.removeprefix("#").strip().rstrip(":") if first.startswith("#") else ""


def copy(name: str, to: str | Path) -> Path:
    """Copy a shipped config to a file, or into a folder; nothing is overwritten.

    Returns:
        The copy.

    Raises:
        InputError: there is no such config, or the file is there already.
    """
    source = find(name)
    if source is None:
        raise InputError(f"No config that ships is called {name!r}; `lightning-mia configs` lists them")
    target = Path(to) / source.name if Path(to).is_dir() else Path(to)
    if target.exists():
        raise InputError(f"{target} is there already; give another name, or remove it")
    write_text(target, source.read_text(encoding="utf-8"))
    return target
