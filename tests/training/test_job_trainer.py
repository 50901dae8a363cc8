"""What Lightning refuses is one line that names the option."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import EarlyStopping

from lightning_mia.audit.audit_trainer import AuditTrainer
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError
from tests.training.test_train import audio, run  # noqa: F401

REFUSED: dict[str, Any] = {
    "accelerator": "hovercraft",
    "devices": 0,
    "strategy": "fsdp",
    "profiler": "foo",
    "precision": "16-false",
    "max_time": "tomorrow",
    "gradient_clip_algorithm": "text",
    "val_check_interval": "text",
    "limit_val_batches": -1,
}


def refused(options: dict[str, Any], tmp_path: Path, made_by: str) -> str:
    with pytest.raises(InputError) as error:
        if made_by == "factory":
            TrainerFactory(options).for_training(tmp_path, "Training", [])
        else:
            AuditTrainer(**options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("made_by", ["factory", "audit trainer"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_option_is_named(name: str, made_by: str, tmp_path: Path) -> None:
    options = {"accelerator": "cpu", "devices": 1, "max_epochs": 3, name: REFUSED[name]}
    message = refused(options, tmp_path, made_by)
    assert message.startswith(f"trainer.{name} {REFUSED[name]} cannot be used: ")


def test_two_options_that_exclude_each_other_are_both_named(tmp_path: Path) -> None:
    message = refused({"barebones": True, "profiler": "simple", "accelerator": "cpu"}, tmp_path, "audit trainer")
    assert "trainer.barebones True" in message
    assert "trainer.profiler simple" in message


@pytest.mark.parametrize("precision", ["16-true", "bf16-true"])
def test_what_fails_in_the_first_step_names_the_option(
    precision: str,
    audio: AudioCache,  # noqa: F811
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match=rf"^The model cannot run with trainer\.precision {precision}: "):
        run(audio, tmp_path, precision=precision)
    assert not list(tmp_path.glob("stage.json"))


def test_early_stopping_on_a_missing_metric_names_the_callbacks(audio: AudioCache, tmp_path: Path) -> None:  # noqa: F811
    stops = EarlyStopping("val/loss", check_on_train_epoch_end=True)
    with pytest.raises(InputError, match=r"trainer\.callbacks \[EarlyStopping\]: Early stopping conditioned on metric"):
        run(audio, tmp_path, stops)


def test_a_fault_of_ours_keeps_its_traceback(
    audio: AudioCache,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("lightning_mia.models.base.SpeechModel.training_step", fail)
    with pytest.raises(ZeroDivisionError):
        run(audio, tmp_path)
