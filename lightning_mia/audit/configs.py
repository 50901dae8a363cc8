"""Shipped configs: find, list and copy them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lightning_mia.utilities.errors import InputError, did_you_mean
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

    The name may begin with `configs/`, and end without `.yaml`.

    >>> find("configs/audit/demo.yaml") == find("audit/demo.yaml") == folder() / "audit" / "demo.yaml"
    True
    """
    path = folder() / name.removeprefix(PREFIX)
    with suppress(OSError):  # a name that is too long is no shipped config
        return next((file for file in (path, path.with_name(f"{path.name}.yaml")) if file.is_file()), None)
    return None


def with_shipped_configs(arguments: Sequence[str]) -> list[str]:
    """Replace names of shipped configs by their paths.

    Names may begin with `configs/`. Local files take precedence.

    Raises:
        InputError: a config is neither a file nor shipped.

    >>> with_shipped_configs(["--run_dir", "R", "-c", "audit/demo"])[-1] == str(find("audit/demo"))
    True
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
    if not name or Path(name).expanduser().exists():
        return name
    if shipped := find(name):
        return str(shipped)
    raise InputError(no_such_config(name))


def names() -> list[str]:
    """List the names of all shipped configs."""
    return sorted(path.relative_to(folder()).as_posix() for path in folder().rglob("*") if path.suffix in SUFFIXES)


def no_such_config(name: str) -> str:
    """Explain that a config is neither a file nor shipped.

    >>> no_such_config("audit/dmo.yaml")
    'there is no config audit/dmo.yaml (did you mean audit/demo.yaml?); `lightning-mia configs` lists the shipped ones'
    """
    meant = did_you_mean(name.removeprefix(PREFIX), names())
    return f"there is no config {name}{meant}; `lightning-mia configs` lists the shipped ones"


def listing(prefix: str = "") -> str:
    """List configs, one per line: name and first comment.

    Raises:
        InputError: no config has this prefix.
    """
    listed = [name for name in names() if name.startswith(prefix.removeprefix(PREFIX))]
    if not listed:
        meant = did_you_mean(prefix, names())
        raise InputError(f"no shipped config begins with {prefix!r}{meant}; `lightning-mia configs` lists all of them")
    width = max(map(len, listed))
    return "\n".join(_entry(name, width) for name in listed)


def _entry(name: str, width: int) -> str:
    """Format one config, in at most 80 columns."""
    comment = _first_comment(folder() / name)
    room = 80 - width - 2
    return f"{name:<{width}}  {comment if len(comment) <= room else comment[: room - 1].rstrip() + '…'}".rstrip()


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
        raise InputError(no_such_config(name))
    target = Path(to) / source.name if Path(to).is_dir() else Path(to)
    if target.exists():
        raise InputError(f"{target} exists; give another name, or delete it")
    write_text(target, source.read_text(encoding="utf-8"))
    return target
