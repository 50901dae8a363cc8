"""Learned targets are copied to the bit, with their teacher, or refused in one line."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

from lightning_mia.models import CPC, TERA, HuBERT, MelHuBERT, SpeechModel, Wav2Vec2
from lightning_mia.models.checkpoint import initialise
from lightning_mia.models.huggingface.pretrained import PretrainedEncoder
from lightning_mia.models.learned_targets import LearnedTargets, targets_sha256
from lightning_mia.utilities.errors import InputError
from tests.models.huggingface.conftest import CONVOLUTIONS, SIZES
from tests.models.test_teacher_targets import TINY, save

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
ENCODERS = {
    "bare": (transformers.HubertModel, transformers.HubertConfig),
    "contrastive": (transformers.Wav2Vec2ForPreTraining, transformers.Wav2Vec2Config),
}


def pretrained(folder: Path, kind: str = "bare") -> PretrainedEncoder:
    model_class, config_class = ENCODERS[kind]
    folder.mkdir()
    model_class(config_class(**SIZES, **CONVOLUTIONS)).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return PretrainedEncoder(str(folder), n_clusters=4)


def second_iteration(folder: Path, make_batch: MakeBatch) -> MelHuBERT:
    teacher = MelHuBERT(**TINY, n_clusters=4)
    teacher.fit_targets([make_batch(0.4)])
    return MelHuBERT(**TINY, n_clusters=4, targets_from=save(teacher, folder / "teacher.ckpt"))


MODELS: dict[str, Callable[[Path, MakeBatch], SpeechModel]] = {
    "HuBERT": lambda folder, batch: HuBERT(**TINY, conv_channels=8, n_clusters=4),
    "MelHuBERT": lambda folder, batch: MelHuBERT(**TINY, n_clusters=4),
    "second iteration": second_iteration,
    "PretrainedEncoder": lambda folder, batch: pretrained(folder / "encoder"),
}


@pytest.mark.parametrize("family", MODELS)
def test_a_copy_has_the_same_targets(family: str, make_batch: MakeBatch, tmp_path: Path) -> None:
    victim = MODELS[family](tmp_path, make_batch).eval()
    victim.fit_targets([make_batch(0.8, 0.5)])
    targets = LearnedTargets.of(victim, Path(save(victim, tmp_path / "model.ckpt")))
    (tmp_path / "teacher.ckpt").unlink(missing_ok=True)  # the victim's checkpoint holds the teacher
    shadow = initialise(victim, seed=1).eval()
    assert shadow.needs_targets
    weights = [parameter.clone() for parameter in shadow.parameters() if parameter.requires_grad]
    targets.copy_to(shadow)
    assert not shadow.needs_targets
    assert targets_sha256(shadow) == targets.sha256 == targets_sha256(victim)
    mine, theirs = (model.learned_targets.state_dict() for model in (shadow, victim))  # type: ignore[union-attr]
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    kept = [parameter for parameter in shadow.parameters() if parameter.requires_grad]
    assert all(torch.equal(mine, before) for mine, before in zip(kept, weights, strict=True))  # and nothing else


def test_unfitted_targets_cannot_be_copied() -> None:
    with pytest.raises(InputError, match=r"a\.ckpt holds no fitted targets for the shadow models to copy: give "):
        LearnedTargets.of(MelHuBERT(**TINY), Path("a.ckpt"))


def test_changed_targets_are_not_copied(make_batch: MakeBatch, tmp_path: Path) -> None:
    victim = MelHuBERT(**TINY, n_clusters=4)
    victim.fit_targets([make_batch(0.8)])
    targets = LearnedTargets.of(victim, tmp_path / "model.ckpt")
    victim.clusters.centroids[0] += 1e-6
    save(victim, tmp_path / "model.ckpt")
    with pytest.raises(InputError, match=r"model\.ckpt no longer holds the targets that the shadow models copy"):
        targets.copy_to(MelHuBERT(**TINY, n_clusters=4))


def test_other_families_have_none(tmp_path: Path) -> None:
    for model in (TERA(), CPC(), Wav2Vec2(), pretrained(tmp_path / "encoder", "contrastive")):
        assert model.learned_targets is None
