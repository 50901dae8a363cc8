"""Configs that are no YAML, or that explode, are one line with the name of the file."""

import time
from pathlib import Path

import pytest

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.yaml_check import MAX_BYTES, check_config, check_yaml

LAUGHS = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)
BAD: dict[str, tuple[bytes, str]] = {
    "UTF-16": ("run_dir: r".encode("utf-16"), "is not in UTF-8"),
    "Latin-1": (b"run_dir: caf\xe9", r"is not in UTF-8 \(byte 13\)"),
    "NUL": (b"run_dir: r\0", "is no YAML"),
    "empty": (b"", "is empty"),
    "only comments": (b"# nothing\n", "is empty"),
    "a list": (b"- 1\n- 2\n", "holds a sequence, not options"),
    "a word": (b"hello", "holds a scalar, not options"),
    "a tab": (b"trainer:\n\tmax_epochs: 3\n", "line 2 is no YAML"),
    "an unknown anchor": (b"a: *b\n", "is no YAML: found undefined alias"),
    "a number of 5,000 digits": (b"seed_everything: " + b"9" * 5000, "line 1: a number of 5,000 digits"),
    "anchors that explode": (LAUGHS.encode(), "becomes more than 200,000 values"),
    "an anchor within itself": (b"a: &a [1, *a]\n", "an anchor refers to itself"),
    "a thousand levels": (b"a: " + b"[" * 1000 + b"]" * 1000, "(nested too deeply|nesting depth)"),
    "a hundred levels": (b"a: " + b"[" * 100 + b"]" * 100, "nested too deeply"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_yaml_is_refused_with_its_file(kind: str, tmp_path: Path) -> None:
    content, message = BAD[kind]
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    start = time.monotonic()
    with pytest.raises(InputError, match=rf"mine\.yaml.*{message}") as refused:
        check_config(path)
    assert "\n" not in str(refused.value)
    assert time.monotonic() - start < 5


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match="this is no config"):
        check_config(tmp_path / "huge.yaml")


def test_configs_with_anchors_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes("\ufeffa: &a {x: 1}\nb: *a\nc: {<<: *a, y: é}\n".encode())
    check_config(tmp_path / "c.yaml")
    check_config(tmp_path / "nowhere.yaml")  # left to the parser
    assert check_yaml("[LiRA]", "--attacks").id == "sequence"
