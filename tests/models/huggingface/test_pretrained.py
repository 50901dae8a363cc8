"""A checkpoint from elsewhere as a model like any other; what it answers is tested in `huggingface/`."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import transformers
from torch import Tensor

from lightning_mia.corpora.loading.batch import collate
from lightning_mia.models.checkpoint import initialise, load_model, model_from_checkpoint
from lightning_mia.models.huggingface.pretrained import PretrainedEncoder
from lightning_mia.signals.crop_responses import CropResponses
from lightning_mia.signals.encoder_geometry import EncoderGeometry
from lightning_mia.signals.encoder_outputs import EncoderAnswers
from lightning_mia.signals.view_consistency import ViewAgreement
from lightning_mia.utilities.errors import InputError
from tests.models.huggingface.conftest import Save
from tests.signals.conftest import recording
from tests.signals.test_groups import measure_scalars, one_by_one

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONVOLUTIONS = {"conv_dim": (8,) * 7, "num_conv_pos_embedding_groups": 4, "num_conv_pos_embeddings": 16}


def save(folder: Path, config: Any) -> str:
    torch.manual_seed(0)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return save(tmp_path / "hubert", transformers.HubertConfig(**SIZES, **CONVOLUTIONS))


def weights(model: torch.nn.Module) -> Tensor:
    return torch.cat([parameter.flatten() for parameter in model.parameters()])


def test_family_is_that_of_the_checkpoint(folder: str, tmp_path: Path) -> None:
    assert PretrainedEncoder(folder).family == "hubert"
    other = save(tmp_path / "sew", transformers.SEWConfig(**SIZES, **{**CONVOLUTIONS, "conv_dim": (8,) * 13}))
    assert PretrainedEncoder(other).family == "sew"


def test_encoder_is_pretrained_and_its_control_is_not(folder: str) -> None:
    trained = PretrainedEncoder(folder, mask_length=7)
    control = trained.untrained()
    assert (trained.is_pretrained, control.is_pretrained) == (True, False)
    assert dict(control.hparams) == {**trained.hparams, "fresh": True}
    assert control.weights_sha256() == ""
    assert len(trained.weights_sha256()) == 64
    assert trained.state_dict().keys() == control.state_dict().keys()
    assert not torch.equal(weights(trained.encoder), weights(control.encoder))


def test_weights_come_from_the_checkpoint_and_fresh_ones_from_the_seed(folder: str) -> None:
    for fresh in (False, True):
        like = PretrainedEncoder(folder, fresh=fresh)
        first, again, other = (weights(initialise(like, seed).encoder) for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert torch.equal(first, other) != fresh


def test_hash_changes_with_the_weights(folder: str) -> None:
    model = PretrainedEncoder(folder)
    before = model.weights_sha256()
    assert PretrainedEncoder(folder, mask_length=3).weights_sha256() == before
    changed = transformers.AutoModel.from_pretrained(folder)
    changed.masked_spec_embed.data.add_(1)
    changed.save_pretrained(folder)
    assert PretrainedEncoder(folder).weights_sha256() != before


def test_lightning_checkpoint_loads(folder: str, make_batch: MakeBatch, tmp_path: Path) -> None:
    """Of a model whose weights have moved since, as after a training."""
    model = PretrainedEncoder(folder).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    batch = make_batch(0.5, 0.3)
    for read in (
        load_model(tmp_path / "model.ckpt", PretrainedEncoder(folder)),
        model_from_checkpoint(tmp_path / "model.ckpt"),
    ):
        with torch.no_grad():
            assert torch.equal(read.encode(*batch).hidden[-1], model.encode(*batch).hidden[-1])


@pytest.mark.parametrize("seconds", [(0.1, 0.9), (1.0,)])
def test_drawn_masks_fit_the_frames(folder: str, seconds: tuple[float, ...], make_batch: MakeBatch) -> None:
    model = PretrainedEncoder(folder).eval()
    batch = make_batch(*seconds)
    masks = model.draw_masks(*batch)
    encoded = model.encode(*batch, masks)
    assert encoded.hidden[-1].shape[:2] == masks.shape
    assert torch.equal(encoded.lengths, model.frame_lengths(batch[1]))
    assert not torch.allclose(encoded.hidden[-1], model.encode(*batch).hidden[-1])


def test_dropout_is_active_in_training(folder: str, make_batch: MakeBatch) -> None:
    """Transformers hands its models over in evaluation mode, and Lightning leaves modes as they are."""
    model, batch = PretrainedEncoder(folder), make_batch(0.5)
    assert all(module.training for module in model.encoder.modules())
    assert not torch.equal(model.encode(*batch).hidden[-1], model.encode(*batch).hidden[-1])


def test_unusable_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        PretrainedEncoder(str(tmp_path / "nowhere"))


@pytest.mark.slow
def test_import_does_not_load_transformers_models() -> None:
    """So that help stays quick: of the model classes none is needed before a checkpoint is read."""
    code = (
        "import lightning.pytorch, sys; before = set(sys.modules); "
        "import lightning_mia.models.huggingface.pretrained; "
        "print([name for name in set(sys.modules) - before if name.startswith('transformers')])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wavlm", "wavlm_layer_norm", "hubert", "wav2vec2", "wav2vec2_layer_norm", "data2vec"])
def test_signals_do_not_depend_on_the_batch(name: str, save_checkpoint: Save) -> None:
    """To a thousandth of their spread, also where weights as they are initialised make layers constant."""
    batch = collate([(str(i), recording(seconds, i), "") for i, seconds in enumerate((0.1, 3.0, 0.7, 1.03))])
    model = PretrainedEncoder(str(save_checkpoint(name, settled=True))).eval()
    for group in (EncoderAnswers(), EncoderGeometry(), ViewAgreement(n_views=3), CropResponses(n_crops=4, n_kept=2)):
        together, alone = measure_scalars(group, model, batch), one_by_one(group, model, batch)
        assert ((together - alone).abs().max() <= 1e-3 * together.std()).all()
