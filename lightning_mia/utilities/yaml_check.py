"""Check YAML before it is loaded: its bytes, its syntax, and how large it becomes."""

from pathlib import Path
from typing import Any

from lightning_mia.utilities.errors import InputError

MAX_BYTES = 10_000_000
MAX_VALUES = 200_000  # after references to anchors have been followed
MAX_DEPTH = 60
MAX_DIGITS = 400  # of one number


def check_config(path: str | Path) -> None:
    """Check a config file.

    Args:
        path: YAML file; one that does not exist is left to the parser.

    Raises:
        InputError: the file is no YAML mapping in UTF-8, or would become too large.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        return
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES:,} bytes: this is no config")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not in UTF-8 (byte {error.start + 1}); save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}") from error
    node = check_yaml(text, str(path))
    if node is None:
        raise InputError(f"{path} is empty: it holds no option")
    if node.id != "mapping":
        raise InputError(f"{path} holds a {node.id}, not options with values, such as `run_dir: runs/x`")


def check_yaml(text: str, where: str) -> Any:
    """Check a text that is to be loaded as YAML.

    Args:
        text: the YAML.
        where: its file or option, for messages.

    Returns:
        The tree of its nodes; None if it is empty.

    Raises:
        InputError: no YAML, or too large, too deep, or endless after anchors are followed.
    """
    import yaml

    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{where}{line} is no YAML: {problem}") from error
    except RecursionError as error:
        raise InputError(f"{where} is nested too deeply: at most {MAX_DEPTH} levels") from error
    if node is not None:
        _count(node, {}, where, 0)
    return node


def _count(node: Any, known: dict[int, int | None], where: str, depth: int) -> int:
    """Count the values below a node; `known` holds those of finished nodes, and None for open ones."""
    if depth > MAX_DEPTH:
        raise InputError(f"{where}, line {node.start_mark.line + 1} is nested too deeply: at most {MAX_DEPTH} levels")
    if id(node) in known:
        count = known[id(node)]
        if count is None:
            raise InputError(f"{where}, line {node.start_mark.line + 1}: an anchor refers to itself")
        return count
    if node.id == "scalar":
        _check_number(node, where)
        return 1
    known[id(node)] = None
    parts = node.value if node.id == "sequence" else [part for pair in node.value for part in pair]
    count = 1 + sum(_count(part, known, where, depth + 1) for part in parts)
    if count > MAX_VALUES:
        raise InputError(f"{where} becomes more than {MAX_VALUES:,} values when its anchors are followed")
    known[id(node)] = count
    return count


def _check_number(node: Any, where: str) -> None:
    if node.tag.endswith((":int", ":float")) and len(node.value) > MAX_DIGITS:
        raise InputError(f"{where}, line {node.start_mark.line + 1}: a number of {len(node.value):,} digits")
