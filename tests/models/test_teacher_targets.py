from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import model_from_checkpoint
from lightning_mia.models.hubert import HuBERT, MelHuBERT
from lightning_mia.models.teacher_targets import TeacherClusters
from lightning_mia.models.tera import TERA
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of_file

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
TINY = {"dim": 16, "n_heads": 2, "feedforward_dim": 32}
FAMILIES: dict[str, Callable[..., HuBERT | MelHuBERT]] = {
    "hubert": lambda **settings: HuBERT(**TINY, conv_channels=8, **settings),
    "mel_hubert": lambda **settings: MelHuBERT(**TINY, **settings),
}


def save(model: SpeechModel, path: Path) -> str:
    """Save what Lightning saves."""
    checkpoint: dict[str, Any] = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)
    return str(path)


def teacher_of(family: str, path: Path, **settings: Any) -> tuple[str, HuBERT | MelHuBERT]:
    """A first iteration of three layers, with all its weights moved, and its checkpoint."""
    torch.manual_seed(1)
    model = FAMILIES[family](n_layers=3, n_clusters=5, **settings).eval()
    model.origin = {"split": "of the members"}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return save(model, path), model


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_teacher_equals_the_complete_model(family: str, layer: int, make_batch: MakeBatch, tmp_path: Path) -> None:
    path, complete = teacher_of(family, tmp_path / "first.ckpt")
    batch = make_batch(0.1, 0.7)
    hidden, lengths = TeacherClusters(path, layer, n_clusters=4)._hidden(*batch)
    with torch.no_grad():
        expected = complete.encode(*batch)
    torch.testing.assert_close(hidden, expected.hidden[layer])
    assert torch.equal(lengths, expected.lengths)


def test_targets_are_the_nearest_centroids(make_batch: MakeBatch, tmp_path: Path) -> None:
    path, complete = teacher_of("mel_hubert", tmp_path / "first.ckpt")
    waveforms, lengths = make_batch(0.5, 1.3)
    clusters = TeacherClusters(path, 2, n_clusters=6)
    assert not clusters.fitted
    clusters.fit([(waveforms, lengths)], seed=0, split=None)
    assert clusters.fitted
    with torch.no_grad():
        encoded = complete.encode(waveforms, lengths)
    real = [row[:n] for row, n in zip(encoded.hidden[2], encoded.lengths.tolist(), strict=True)]
    frames = torch.cat(real)
    standardised = (frames - frames.mean(dim=0)) / frames.std(dim=0, correction=0)
    distances = torch.cdist(standardised.double(), clusters.centroids.centroids.double())
    labels = clusters(waveforms, lengths, n_frames=encoded.hidden[2].shape[1])
    labels = torch.cat([row[:n] for row, n in zip(labels, encoded.lengths.tolist(), strict=True)])
    assert len(labels.unique()) == 6
    chosen = distances.gather(1, labels.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(chosen, distances.min(dim=1).values, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("teacher", FAMILIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_frame_has_a_target(family: str, teacher: str, make_batch: MakeBatch, tmp_path: Path) -> None:
    """Convolutions make one frame more of some lengths than log-mel frames do; the last target is then held."""
    path, _ = teacher_of(teacher, tmp_path / "first.ckpt")
    model = FAMILIES[family](n_clusters=4, targets_from=path).eval()
    model.fit_targets([make_batch(0.9)])
    for samples in (1600, 1719, 1720, 1760, 1880, 2039, 2040):
        lengths = torch.tensor([samples, 4000])
        waveforms = torch.randn(2, 4000).masked_fill(torch.arange(4000) >= lengths.unsqueeze(1), 0.0)
        frames, targets = model._frames_and_targets(waveforms, lengths)
        assert frames.shape[:2] == targets.shape
        n = int(model.frame_lengths(lengths)[0])
        alone = model._frames_and_targets(waveforms[:1, :samples], lengths[:1])[1]
        assert torch.equal(targets[:1, :n], alone)
        assert isinstance(model.clusters, TeacherClusters)
        n_teacher = int(model.clusters.teacher.frame_lengths(lengths)[0])
        assert n - n_teacher in ((0, 1) if family == "hubert" and teacher == "mel_hubert" else (-1, 0))
        assert targets[0, n - 1] == targets[0, min(n, n_teacher) - 1]


def test_student_checkpoint_contains_the_teacher(make_batch: MakeBatch, tmp_path: Path) -> None:
    path, _ = teacher_of("hubert", tmp_path / "first.ckpt")
    model = FAMILIES["mel_hubert"](n_clusters=4, targets_from=path, targets_layer=2).eval()
    model.fit_targets([make_batch(0.9, 0.8)])
    second = save(model, tmp_path / "second.ckpt")
    Path(path).unlink()
    loaded = model_from_checkpoint(second)
    assert isinstance(loaded, MelHuBERT)
    assert not loaded.needs_targets
    assert loaded.weights_sha256() == model.weights_sha256()
    waveforms, lengths = make_batch(0.4)
    masks = loaded.draw_masks(waveforms, lengths)
    with torch.no_grad():
        assert torch.equal(
            loaded.pretext_score(waveforms, lengths, masks), model.pretext_score(waveforms, lengths, masks)
        )


def test_second_iteration_can_be_a_teacher(make_batch: MakeBatch, tmp_path: Path) -> None:
    path, _ = teacher_of("mel_hubert", tmp_path / "first.ckpt")
    second = FAMILIES["mel_hubert"](n_clusters=4, targets_from=path).eval()
    second.fit_targets([make_batch(0.9)])
    third = FAMILIES["mel_hubert"](n_clusters=4, targets_from=save(second, tmp_path / "second.ckpt"), targets_layer=2)
    assert isinstance(third.clusters, TeacherClusters)
    assert not any("teacher.clusters" in name for name in third.state_dict())
    batch = make_batch(0.3)
    with torch.no_grad():
        assert torch.equal(third.clusters._hidden(*batch)[0], second.encode(*batch).hidden[2])


class Recordings(L.LightningDataModule):
    def __init__(self, batches: list[Batch]) -> None:
        super().__init__()
        self.batches = batches

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.batches, batch_size=None)  # type: ignore[arg-type]

    def training_waveforms(self) -> Iterable[Batch]:
        return self.batches


def test_training_does_not_change_the_teacher(make_batch: MakeBatch, tmp_path: Path) -> None:
    path, _ = teacher_of("mel_hubert", tmp_path / "first.ckpt", dropout=0.5)
    model = FAMILIES["mel_hubert"](n_clusters=4, targets_from=path, learning_rate=1e-2)
    assert isinstance(model.clusters, TeacherClusters)
    before = {name: x.clone() for name, x in model.clusters.teacher.state_dict().items()}
    weights = model.projection.weight.clone()
    trainer = L.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(model, Recordings([Batch(["a", "b"], *make_batch(0.4, 0.9))]))
    assert not torch.equal(model.projection.weight, weights)
    assert all(torch.equal(x, before[name]) for name, x in model.clusters.teacher.state_dict().items())
    assert not any("teacher" in name for name, x in model.named_parameters() if x.requires_grad)
    model.train()
    waveforms, lengths = make_batch(0.4, 0.9)
    targets = model.clusters(waveforms, lengths, 40)
    assert torch.equal(targets, model.clusters(waveforms, lengths, 40))  # no dropout
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(targets, model.clusters(waveforms, lengths, 40))


def test_teacher_of_another_split_is_refused(make_batch: MakeBatch, tmp_path: Path) -> None:
    path, teacher = teacher_of("mel_hubert", tmp_path / "first.ckpt")
    model = FAMILIES["mel_hubert"](n_clusters=4, targets_from=path)
    model.origin = {"split": "of others"}
    with pytest.raises(
        InputError, match=r"first\.ckpt was trained on another split \(hash of the membe there, of others"
    ):
        model.fit_targets([make_batch(0.9)])
    model.origin = {"split": "of the members"}
    model.fit_targets([make_batch(0.9)])
    teacher.origin = {}
    FAMILIES["mel_hubert"](n_clusters=4, targets_from=save(teacher, tmp_path / "unknown.ckpt")).fit_targets(
        [make_batch(0.9)]
    )


def test_weights_hash_is_that_of_the_teacher_file(tmp_path: Path) -> None:
    path, _ = teacher_of("mel_hubert", tmp_path / "first.ckpt")
    assert FAMILIES["hubert"](targets_from=path).weights_sha256() == hash_of_file(Path(path))
    assert FAMILIES["hubert"]().weights_sha256() == ""


def test_missing_teacher_is_reported_on_first_use(make_batch: MakeBatch, tmp_path: Path) -> None:
    model = FAMILIES["mel_hubert"](targets_from=str(tmp_path / "no.ckpt"))
    assert model.needs_targets
    with pytest.raises(InputError, match=r"no\.ckpt does not exist; give --model\.targets_from"):
        model.fit_targets([make_batch(0.9)])
    with pytest.raises(InputError, match="does not exist"):
        model.weights_sha256()


@pytest.mark.parametrize(
    ("family", "layer", "message"),
    [
        ("tera", 1, "cannot be a teacher: it is a TERA, and only HuBERT and MelHuBERT can be teachers"),
        ("mel_hubert", 4, "it has layers 1 to 3, but layer 4 is requested; change .*--model.targets_layer"),
        ("mel_hubert", 0, "it has layers 1 to 3, but layer 0 is requested"),
        ("text", 1, "is not a checkpoint"),
    ],
)
def test_unusable_teachers_are_refused_in_one_line(family: str, layer: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "first.ckpt"
    if family == "tera":
        save(TERA(**TINY), path)
    elif family == "text":
        path.write_text("hello")
    else:
        teacher_of(family, path)
    with pytest.raises(InputError, match=message) as error:
        MelHuBERT(targets_from=str(path), targets_layer=layer)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
