"""Command lines: home folders, misspelt names, broken YAML."""

from pathlib import Path

import pytest

from lightning_mia import attacks, corpora, models, splits
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.parser import Parser, explain_class_name, with_home


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def parser() -> Parser:
    parser = Parser(prog="lightning-mia compare")
    parser.add_argument("-c", "--config", action="config")
    parser.add_argument("--out", type=str)
    parser.add_argument("--folders", type=list[str])
    return parser


def test_home_folders_are_expanded_wherever_they_stand(home: Path) -> None:
    (home / "c.yaml").write_text("out: ~/from-yaml\n")
    assert parser().parse_args(["--out=~/r"]).out == f"{home}/r"
    assert parser().parse_args(["--out", "~"]).out == str(home)
    assert parser().parse_args([]).out is None
    assert parser().parse_args(["-c", str(home / "c.yaml")]).out == f"{home}/from-yaml"
    assert parser().parse_args(["--folders", "[~/a, b]"]).folders == [f"{home}/a", "b"]


@pytest.mark.parametrize("text", ["a~b", "~5 dB", "~~", "x/~/y"])
def test_other_tildes_stay(text: str) -> None:
    assert with_home({"text": [text]}) == {"text": [text]}


@pytest.mark.parametrize(
    ("key", "name", "meant", "listed"),
    [
        ("attacks", "LIRA", "LiRA", attacks.PretextLoss),
        ("attacks", "PretextLos", "PretextLoss", attacks.LiRA),
        ("model", "Hubert", "HuBERT", models.TERA),
        ("data.corpus", "Manifst", "Manifest", corpora.VCTK),
        ("data.design", "SpeakerDesing", "SpeakerDesign", splits.UtteranceDesign),
    ],
)
def test_a_misspelt_class_is_named_with_the_possible_ones(key: str, name: str, meant: str, listed: type) -> None:
    message = explain_class_name(f'Parser key "{key}": Expected a dot import path string: {name}')
    assert message is not None
    assert message.startswith(f"{key}: there is no class {name} (did you mean {meant}?); the names are ")
    assert f", {listed.__name__}" in message or f" {listed.__name__}," in message
    for base in ("Attack,", "SpeechModel", "Corpus,", "Evidence"):
        assert f" {base}" not in message


def test_broken_values_and_configs_are_refused_by_name(home: Path) -> None:
    with pytest.raises(InputError, match=r"^--out, line \d is no YAML: "):
        parser().parse_args(["--out=[" + "a" * 2000])
    (home / "empty.yaml").touch()
    with pytest.raises(InputError, match=r"empty\.yaml is empty"):
        parser().parse_args([f"--config={home / 'empty.yaml'}"])
