from pathlib import Path

import lightning as L
import pytest
import torch

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.loading.augmentation import TimeMasking
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.tera import TERA
from lightning_mia.splits import UtteranceDesign
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.utilities.errors import InputError


def batch_of(*lengths: int) -> Batch:
    waveforms = torch.zeros(len(lengths), max(lengths))
    for waveform, length in zip(waveforms, lengths, strict=True):
        waveform[:length] = 1.0
    return Batch([f"u{number}" for number in range(len(lengths))], waveforms, torch.tensor(lengths))


def test_the_expected_share_is_silenced_in_spans_of_the_length() -> None:
    batch = batch_of(*[16_000] * 50)
    masked = torch.stack([TimeMasking(0.05, span=0.05)(batch, epoch, 0).waveforms for epoch in range(20)])
    assert float((masked == 0).float().mean()) == pytest.approx(0.05, abs=0.004)
    runs = (masked.flatten(0, 1).diff(dim=1) < 0).sum()
    assert float((masked == 0).sum() / runs) == pytest.approx(800, rel=0.05)  # few overlap
    assert not torch.equal(masked[0], masked[1])


def test_a_recording_is_masked_alike_in_any_batch_and_its_padding_stays() -> None:
    masking = TimeMasking(0.3)
    together, alone = masking(batch_of(9_000, 5_000), 3, 7), masking(batch_of(9_000), 3, 7)
    assert torch.equal(together.waveforms[0], alone.waveforms[0])
    assert not together.waveforms[1, 5_000:].any()
    assert together.waveforms[1, :5_000].any()


def test_a_clip_shorter_than_a_span_is_never_silenced_whole() -> None:
    clips = [TimeMasking(0.5, span=10.0)(batch_of(1_600), epoch, 0).waveforms for epoch in range(20)]
    silenced = [float((clip == 0).float().mean()) for clip in clips]
    assert 0 < max(silenced) < 1


def test_nothing_is_the_default_and_leaves_no_trace_in_a_hash() -> None:
    batch = batch_of(2_000)
    assert TimeMasking()(batch, 0, 0) is batch
    assert TimeMasking().fingerprint() == {}
    assert TimeMasking(0.2).fingerprint() == {"time_masking": {"share": 0.2, "span": 0.1}}


@pytest.mark.parametrize(("settings", "told"), [({"share": 0.95}, "share is 0.95"), ({"span": 0.0}, "span is 0.0")])
def test_what_leaves_no_speech_is_refused(settings: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
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


def test_a_training_hears_masked_recordings_and_targets_come_from_whole_ones(
    tiny_manifest: Path, tmp_path: Path
) -> None:
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
