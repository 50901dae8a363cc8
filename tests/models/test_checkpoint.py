from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters_context
from torch import Tensor

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import model_from_checkpoint
from lightning_mia.models.construction import build
from lightning_mia.models.hubert import HuBERT, MelHuBERT
from lightning_mia.models.tera import TERA
from lightning_mia.utilities.errors import InputError

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
TINY = {"n_layers": 1, "dim": 16, "n_heads": 2, "feedforward_dim": 32}


def save(model: SpeechModel, path: Path, **changes: Any) -> Path:
    """Save what Lightning saves; `changes` replace entries of the checkpoint."""
    checkpoint: dict[str, Any] = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    checkpoint |= changes
    model.on_save_checkpoint(checkpoint)
    if "lightning_mia" in changes:
        checkpoint["lightning_mia"] = changes["lightning_mia"]
        del checkpoint["content_sha256"]  # as earlier versions write them
    torch.save(checkpoint, path)
    return path


def flip_bit(path: Path, position: int) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 0x40
    path.write_bytes(content)


@pytest.mark.parametrize("family", [TERA, MelHuBERT, HuBERT])
def test_class_settings_weights_and_origin_are_restored(
    family: type[SpeechModel], make_batch: MakeBatch, tmp_path: Path
) -> None:
    model = family(**TINY, learning_rate=0.5).eval()
    model.fit_targets([make_batch(0.9, 0.8)])
    model.origin = {"split": "abc"}
    found = model_from_checkpoint(save(model, tmp_path / "model.ckpt"))
    assert type(found) is family
    assert dict(found.hparams) == dict(model.hparams)
    assert found.origin == {"model_class": family.__name__, "split": "abc"}
    assert not found.training
    batch = make_batch(0.3)
    with torch.no_grad():
        assert torch.equal(found.encode(*batch).hidden[-1], model.encode(*batch).hidden[-1])


def test_loading_consumes_no_random_numbers(tmp_path: Path) -> None:
    path = save(TERA(**TINY), tmp_path / "model.ckpt")
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    model_from_checkpoint(path)
    assert torch.equal(torch.rand(3), expected)


def test_inner_model_weights_do_not_depend_on_the_seed() -> None:
    weights = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        weights.append(build(lambda: TERA(**TINY)).projection.weight)
    assert torch.equal(*weights)


def test_command_line_keys_in_hyperparameters_are_ignored(tmp_path: Path) -> None:
    model = TERA(**TINY)
    settings = {**model.hparams, "_instantiator": "lightning.pytorch.cli.instantiate_module", "_class_path": "x.TERA"}
    assert model_from_checkpoint(save(model, tmp_path / "model.ckpt", hyper_parameters=settings)).family == "tera"


class Dangerous:
    """Stands for anything that a pickle could run."""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"lightning_mia": {"model_class": "NextYearsModel"}},
            "unknown model class NextYearsModel; known: .*MelHuBERT",
        ),
        ({"lightning_mia": {}}, "does not name the class of its model"),
        ({"hyper_parameters": {**TINY, "colour": 3}}, "another version of TERA: colour is unknown"),
        ({"hyper_parameters": {**TINY, "dim": 32}}, "do not fit its hyperparameters"),
        ({"state_dict": {}}, "do not fit its hyperparameters"),
        ({"optimizer": Dangerous()}, "unsafe unpickling"),
        ({"state_dict": [1, 2]}, "state_dict is not a table of tensors"),
        ({"state_dict": {"projection.weight": "text"}}, "state_dict is not a table of tensors"),
        ({"hyper_parameters": [16]}, "hyper_parameters is not a table"),
        ({"lightning_mia": "TERA"}, "lightning_mia is not a table of texts"),
        ({"lightning_mia": {"model_class": "TERA", "split": 3}}, "lightning_mia is not a table of texts"),
    ],
)
def test_unusable_models_are_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = save(TERA(**TINY), tmp_path / "model.ckpt", **changes)
    with pytest.raises(InputError, match=message) as error:
        model_from_checkpoint(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def changed_weights(change: Callable[[Tensor], Tensor], n_changed: int | None = None) -> dict[str, Tensor]:
    """Change the first floating-point weights of a TERA model, by default all."""
    weights = TERA(**TINY).state_dict()
    floating = [name for name, weight in weights.items() if weight.is_floating_point()]
    return weights | {name: change(weights[name]) for name in floating[:n_changed]}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (changed_weights(torch.zeros_like), "is 0 throughout"),
        (changed_weights(torch.ones_like), "is 1 throughout"),
        (changed_weights(lambda weight: (weight * 100).to(torch.int64)), "is of type int64, not floating point"),
        (changed_weights(lambda weight: weight * torch.nan, 1), "is not finite"),
        (changed_weights(lambda weight: weight + 1e30, 1), r"reaches 1e\+30"),
    ],
)
def test_weights_that_no_training_leaves_behind_are_refused(
    weights: dict[str, Tensor], message: str, tmp_path: Path
) -> None:
    path = save(TERA(**TINY), tmp_path / "model.ckpt", state_dict=weights)
    with pytest.raises(InputError, match=message) as error:
        model_from_checkpoint(path)
    assert str(path) in str(error.value)


def test_one_flipped_bit_of_a_weight_is_noticed(tmp_path: Path) -> None:
    model = TERA(**TINY)
    path = save(model, tmp_path / "model.ckpt")
    content, weights = path.read_bytes(), model.projection.weight.detach().numpy().tobytes()
    flip_bit(path, content.index(weights) + 2)
    with pytest.raises(InputError, match=r"model\.ckpt is damaged"):
        model_from_checkpoint(path)


def test_checkpoints_of_earlier_versions_have_no_hash(tmp_path: Path) -> None:
    path = save(TERA(**TINY), tmp_path / "model.ckpt", lightning_mia={"model_class": "TERA"})
    assert model_from_checkpoint(path).family == "tera"


def test_inner_model_keeps_its_own_hyperparameters(tmp_path: Path) -> None:
    path = save(MelHuBERT(**TINY), tmp_path / "model.ckpt")
    with _given_hyperparameters_context({"colour": "red"}, "some.instantiator"):
        assert model_from_checkpoint(path).hparams["dim"] == 16


@pytest.mark.parametrize("content", ["text", "nothing", "a folder", "no file"])
def test_files_that_are_not_checkpoints_are_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "some.ckpt"
    if content == "text":
        path.write_text("hello")
    elif content == "nothing":
        path.touch()
    elif content == "a folder":
        path.mkdir()
    with pytest.raises(InputError) as error:
        model_from_checkpoint(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
