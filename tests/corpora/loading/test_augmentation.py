"""SpecAugment hides what it says, in training alone."""

from pathlib import Path

import lightning as L
import pytest
import torch

from lightning_mia.audit.cli import main
from lightning_mia.corpora import Manifest
from lightning_mia.corpora.loading.augmentation import SpecAugment, TimeMasking, draw_spans
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.hubert import MelHuBERT
from lightning_mia.models.tera import TERA
from lightning_mia.splits import UtteranceDesign
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.utilities.errors import InputError

LENGTHS = torch.tensor([50, 100])


def families() -> list[SpeechModel]:
    torch.manual_seed(0)
    hubert = MelHuBERT(n_layers=1, dim=16, n_heads=2, feedforward_dim=32, n_clusters=4, code_dim=8)
    tera = TERA(n_mels=40, n_layers=1, dim=16, n_heads=2, feedforward_dim=32, noise_probability=0.0)
    hubert.fit_targets([audio()])
    return [tera, hubert]


def audio() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(4, 8000, generator=generator), torch.full((4,), 8000)


def test_spans_lie_within_a_recording_and_reach_their_largest_width() -> None:
    torch.manual_seed(0)
    lengths, widest = torch.full((4000,), 10), torch.full((4000,), 4.0)
    drawn = draw_spans(lengths, widest, 12)
    assert not drawn[:, 10:].any()
    widths = drawn.sum(dim=1)
    assert (drawn[:, 1:] & ~drawn[:, :-1]).sum(dim=1).max() == 1  # in one piece
    shares = torch.bincount(widths) / len(widths)
    assert shares.tolist() == pytest.approx([0.2] * 5, abs=0.03)
    assert drawn[:, 0].any() and drawn[:, 9].any()


def test_frames_and_bands_are_masked_up_to_their_shares() -> None:
    torch.manual_seed(0)
    frames = torch.ones(2, 100, 80)
    hidden = torch.stack(
        [SpecAugment(1, 1, 0.2, 0.34)(frames, LENGTHS) == 0 for _ in range(300)]
    )  # (draws, 2, 100, 80)
    in_time = hidden.all(dim=3).sum(dim=2)  # (draws, 2) frames that are hidden whole
    assert in_time.amax(dim=0).tolist() == [10, 20]
    assert not hidden.all(dim=3)[:, 0, 50:].any()
    assert hidden.all(dim=2).sum(dim=2).max() == 27  # the paper's F
    assert torch.equal(SpecAugment()(frames, LENGTHS), frames)
    assert (SpecAugment(n_time=2)(frames, LENGTHS) == 0).all(dim=2).any()


@pytest.mark.parametrize("family", [0, 1])
def test_a_model_trains_on_the_augmented_batch(family: int) -> None:
    model = families()[family]
    waveforms, lengths = audio()
    plain = Batch(["a", "b", "c", "d"], waveforms, lengths)
    augmented = plain._replace(augment=SpecAugment(2, 2))

    def loss(batch: Batch) -> torch.Tensor:
        torch.manual_seed(1)
        return model.training_loss(batch).loss

    masks = torch.zeros(4, int(model.frame_lengths(lengths[0])), dtype=torch.bool)
    masks[:, :8] = True
    hidden = model.encode(waveforms, lengths).hidden[-1]
    scores = model.pretext_score(waveforms, lengths, masks)
    assert loss(augmented) != loss(plain)
    # It depends on torch's generator alone, so that a resumed training goes on as it was.
    assert loss(augmented) == loss(augmented)
    assert torch.equal(model.encode(waveforms, lengths).hidden[-1], hidden)
    assert torch.equal(model.pretext_score(waveforms, lengths, masks), scores)


class SeenBatches(L.Callback):
    """Keeps the augmentation of every training batch."""

    def __init__(self) -> None:
        self.augmentations: list[object] = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        self.augmentations.append(batch.augment)


@pytest.mark.parametrize("settings", [SpecAugment(), SpecAugment(n_time=2)])
def test_only_training_batches_carry_the_augmentation(
    settings: SpecAugment, tiny_manifest: Path, tmp_path: Path
) -> None:
    design = UtteranceDesign(n_units=12, n_auxiliary=4)
    module = SpeechDataModule(Manifest(str(tiny_manifest)), design, spec_augment=settings)
    data = module.load(tmp_path / "split.csv")
    recordings = data.training_recordings(data.split.training_ids(), seed=0)
    seen = SeenBatches()
    trainer = L.Trainer(max_epochs=1, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
                        enable_progress_bar=False, enable_model_summary=False, callbacks=[seen])  # fmt: skip
    trainer.fit(TERA(n_layers=1, dim=16, n_heads=2, feedforward_dim=16), datamodule=recordings)
    assert set(seen.augmentations) == {settings if settings.enabled else None}
    assert all(batch.augment is None for batch in recordings.training_waveforms())


@pytest.mark.parametrize(
    "options", [{"n_time": -1}, {"n_frequency": -1}, {"time_share": 0.0}, {"frequency_share": 1.0}]
)
def test_invalid_settings_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"data.spec_augment.{next(iter(options))}"):
        SpecAugment(**options)  # type: ignore[arg-type]


def test_model_on_waveforms_is_refused_and_the_hash_changes(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--run_dir", str(tmp_path), "--data.spec_augment.n_time", "1", "--model", "lightning_mia.models.CPC"]
    assert main(["fit", "-c", str(config), *options]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "data.spec_augment masks log-mel frames, which CPC does not train on" in message
    assert SpecAugment().fingerprint() == {}
    assert SpecAugment(n_time=1).fingerprint() != SpecAugment(n_time=2).fingerprint()


def batch_of(*lengths: int) -> Batch:
    waveforms = torch.zeros(len(lengths), max(lengths))
    for waveform, length in zip(waveforms, lengths, strict=True):
        waveform[:length] = 1.0
    return Batch([f"u{number}" for number in range(len(lengths))], waveforms, torch.tensor(lengths))


def test_expected_share_is_silenced_in_spans() -> None:
    batch = batch_of(*[16_000] * 50)
    masked = torch.stack([TimeMasking(0.05, span=0.05)(batch, epoch, 0).waveforms for epoch in range(20)])
    assert float((masked == 0).float().mean()) == pytest.approx(0.05, abs=0.004)
    runs = (masked.flatten(0, 1).diff(dim=1) < 0).sum()
    assert float((masked == 0).sum() / runs) == pytest.approx(800, rel=0.05)  # few overlap
    assert not torch.equal(masked[0], masked[1])


def test_silenced_spans_do_not_depend_on_the_batch() -> None:
    masking = TimeMasking(0.3)
    together, alone = masking(batch_of(9_000, 5_000), 3, 7), masking(batch_of(9_000), 3, 7)
    assert torch.equal(together.waveforms[0], alone.waveforms[0])
    assert not together.waveforms[1, 5_000:].any()
    assert together.waveforms[1, :5_000].any()


def test_short_clips_are_never_silenced_completely() -> None:
    clips = [TimeMasking(0.5, span=10.0)(batch_of(1_600), epoch, 0).waveforms for epoch in range(20)]
    silenced = [float((clip == 0).float().mean()) for clip in clips]
    assert 0 < max(silenced) < 1


def test_default_changes_neither_batch_nor_hash() -> None:
    batch = batch_of(2_000)
    assert TimeMasking()(batch, 0, 0) is batch
    assert TimeMasking().fingerprint() == {}
    assert TimeMasking(0.2).fingerprint() == {"time_masking": {"share": 0.2, "span": 0.1}}


@pytest.mark.parametrize(("settings", "message"), [({"share": 0.95}, "share is 0.95"), ({"span": 0.0}, "span is 0.0")])
def test_invalid_time_masking_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TimeMasking(**settings)


class Heard(L.Callback):
    """Counts silent samples of speech that the model trains on."""

    def __init__(self) -> None:
        self.silent: list[int] = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        speech = torch.arange(batch.waveforms.shape[1]) < batch.lengths[:, None]
        self.silent.append(int(((batch.waveforms == 0) & speech).sum()))


def test_training_uses_silenced_recordings_and_targets_the_originals(tiny_manifest: Path, tmp_path: Path) -> None:
    heard = {}
    for share in (0.0, 0.5):
        design = UtteranceDesign(n_units=12, n_auxiliary=4)
        module = SpeechDataModule(Manifest(str(tiny_manifest)), design, time_masking=TimeMasking(share))
        data = module.load(tmp_path / "split.csv")
        callback = Heard()
        trainer = L.Trainer(max_epochs=1, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
                            enable_progress_bar=False, enable_model_summary=False, callbacks=[callback])  # fmt: skip
        recordings = data.training_recordings(data.split.training_ids(), seed=0)
        trainer.fit(TERA(n_layers=1, dim=16, n_heads=2, feedforward_dim=16), datamodule=recordings)
        heard[share] = sum(callback.silent)
    samples = data.audio.index.loc[data.split.training_ids(), "n_samples"].sum()
    assert heard[0.0] < 0.01 * samples
    assert heard[0.5] > 0.25 * samples
    for batch in recordings.training_waveforms():  # of which targets are made
        speech = torch.arange(batch.waveforms.shape[1]) < batch.lengths[:, None]
        assert float((batch.waveforms[speech] == 0).float().mean()) < 0.01
