"""Completion in the shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_mia.audit import completion
from lightning_mia.audit.completion import parser_for
from lightning_mia.audit.option_index import OptionIndex

INDEX = OptionIndex(
    {
        "run_dir": "str",
        "attack_set": {"one_of": ["recommended", "all"]},
        "model": "object",
        "model.help": "object",
        "help": None,
    },
    {
        "model": {
            "TERA": {"dim": ("int", ""), "mask_length": ("int", "")},
            "MelHuBERT": {"n_clusters": ("int", ""), "front_end": ({"one_of": ["mel", "raw"]}, "")},
        },
        "data.corpus": {"SyntheticVoices": {"n_speakers": ("int", "")}, "Manifest": {"path": ("str", "")}},
        "data.design": {"UtteranceDesign": {"n_units": ("int", "")}},
    },
)


def options(*words: str) -> dict[str, object]:
    parser = parser_for(words, {"audit": "Train", "report": "Rebuild"}, ["audit"])
    (commands,) = [action for action in parser._actions if isinstance(action.choices, dict)]
    return {name: action.choices for action in commands.choices["audit"]._actions for name in action.option_strings}


def test_options_of_the_classes_in_the_config_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "load_index", lambda command: INDEX)
    completed = options("audit", "-c", "audit/demo.yaml")
    assert completed["--attack_set"] == ["recommended", "all"]
    assert completed["--model.front_end"] == ["mel", "raw"]
    assert completed["--model"] == ["TERA", "MelHuBERT"]
    assert {"--data.corpus.n_speakers", "--model.n_clusters", "--data.design.n_units", "-c"} <= set(completed)
    assert not {"--data.corpus.path", "--model.dim", "--model.help"} & set(completed)
    assert "--model.dim" in options("audit", "-c", "audit/demo.yaml", "--model", "TERA")


def test_commands_are_completed_without_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "load_index", lambda command: None)
    assert set(options("audit", "-c")) == {"-h", "--help", "-c", "--config"}


def test_the_shell_gets_an_answer(tmp_path: Path) -> None:
    pytest.importorskip("argcomplete")
    line = "lightning-mia audit -c audit/de"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "answer"),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "LIGHTNING_MIA_CACHE": str(tmp_path),
    }
    code = "from lightning_mia.audit.cli import main; main([])"
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, timeout=60, check=False)
    assert "audit/demo.yaml" in (tmp_path / "answer").read_text()
