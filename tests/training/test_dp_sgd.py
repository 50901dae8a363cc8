"""Per-example gradients against a slow loop, and the privacy account."""

import json
import math
from pathlib import Path

import lightning as L
import pytest
import torch

from lightning_mia.audit.cli import main
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.cpc import CPC
from lightning_mia.models.hubert import MelHuBERT
from lightning_mia.models.tera import TERA
from lightning_mia.models.wav2vec2 import Wav2Vec2
from lightning_mia.training.dp_sgd import ClippedGradients, PerExampleGradients, clipped_loss, examples
from lightning_mia.utilities.errors import InputError

TINY = {"n_layers": 1, "dim": 16, "n_heads": 2, "feedforward_dim": 32}
LENGTHS = [8000, 6400, 4000, 8000, 5000]


@pytest.fixture(scope="module")
def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    waveforms = 0.1 * torch.randn(len(LENGTHS), 8000, generator=generator)
    for waveform, length in zip(waveforms, LENGTHS, strict=True):
        waveform[length:] = 0.0
    return Batch([f"u{number}" for number in range(len(LENGTHS))], waveforms, torch.tensor(LENGTHS))


def families() -> list[SpeechModel]:
    torch.manual_seed(0)
    hubert = MelHuBERT(**TINY, n_clusters=4, code_dim=8, position_kernel=8, position_groups=4)
    return [TERA(**TINY, n_mels=20), hubert, Wav2Vec2(**TINY, conv_channels=8, n_negatives=5), CPC(dim=8, n_steps=3)]


def gradient_of(model: SpeechModel, batch: Batch, seed: int = 0, **settings: float) -> torch.Tensor:
    """The gradient that an optimizer would see, flat."""
    model.zero_grad()
    torch.manual_seed(seed)
    clipped_loss(model, batch, PerExampleGradients(**settings), batch_size=len(batch.ids)).loss.backward()
    return flat(model)


def flat(model: SpeechModel) -> torch.Tensor:
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in model.parameters()])


def slow(model: SpeechModel, batch: Batch, clip_norm: float) -> list[torch.Tensor]:
    """Each example's gradient, clipped by torch's own function."""
    torch.manual_seed(0)
    gradients = []
    for example in examples(batch):
        model.zero_grad()
        model.training_loss(example).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        gradients.append(flat(model))
    return gradients


@pytest.mark.parametrize("index", range(4))
def test_the_gradient_is_the_mean_of_clipped_gradients(index: int, batch: Batch) -> None:
    model = families()[index].train()
    if model.needs_targets:
        model.fit_targets([(batch.waveforms, batch.lengths)])
    norms = [float(gradient.norm()) for gradient in slow(model, batch, 1e9)]
    clip_norm = sorted(norms)[2]  # some are clipped, some are not
    expected = slow(model, batch, clip_norm)
    torch.testing.assert_close(
        gradient_of(model, batch, clip_norm=clip_norm), torch.stack(expected).mean(0), rtol=1e-4, atol=1e-6
    )
    assert max(float(gradient.norm()) for gradient in expected) <= clip_norm * 1.0001
    without_clipping = torch.stack(slow(model, batch, 1e9)).mean(0)
    assert not torch.allclose(gradient_of(model, batch, clip_norm=clip_norm), without_clipping, rtol=1e-3)


def test_one_recording_changes_the_sum_by_at_most_the_norm(batch: Batch) -> None:
    """Even an absurdly loud one, placed last so that the others get the same masks."""
    model = families()[0].train()
    loud = batch._replace(waveforms=batch.waveforms.clone())
    loud.waveforms[-1] = torch.sign(loud.waveforms[-1])
    sums = [len(LENGTHS) * gradient_of(model, recordings, clip_norm=0.01) for recordings in (batch, loud)]
    assert 0 < float((sums[0] - sums[1]).norm()) <= 0.02001  # one contribution out, another in


def test_the_noise_has_the_given_deviation(batch: Batch) -> None:
    model = families()[0].train()
    noise = gradient_of(model, batch, clip_norm=0.5, noise_multiplier=2.0) - gradient_of(model, batch, clip_norm=0.5)
    assert float(noise.std()) * len(LENGTHS) == pytest.approx(1.0, rel=0.03)
    assert abs(float(noise.mean())) * len(LENGTHS) < 4 / math.sqrt(len(noise))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clip_norm": 0.0}, "clip_norm is 0.0"),
        ({"noise_multiplier": 1.0}, "needs a clip_norm"),
        ({"clip_norm": 1.0, "noise_multiplier": -1.0}, "noise_multiplier is -1.0: give 0 to 1,000,000"),
        ({"clip_norm": 1.0, "delta": 1.0}, "delta is 1.0"),
    ],
)
def test_invalid_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PerExampleGradients(**settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"accumulate_grad_batches": 2}, "accumulate_grad_batches"), ({"precision": "bf16-mixed"}, "full precision")],
)
def test_unsupported_trainers_are_refused(options: dict, message: str) -> None:
    trainer = L.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, **options)
    with pytest.raises(InputError, match=message):
        ClippedGradients(PerExampleGradients(1.0)).setup(trainer, families()[0], "fit")


@pytest.mark.slow
def test_a_private_audit_reports_both_bounds(config: Path, tmp_path: Path) -> None:
    options = ["--trainer.per_example.clip_norm", "0.5", "--trainer.per_example.noise_multiplier", "2"]
    assert main(["audit", "-c", str(config), "--run_dir", str(tmp_path), *options]) == 0
    stages = {name: json.loads((tmp_path / name / "stage.json").read_text()) for name in ("target", "wrong_model")}
    for stage in stages.values():
        assert stage["settings"]["trainer"]["per_example"]["noise_multiplier"] == 2
        assert stage["record"]["privacy"]["epsilon"] == pytest.approx(3.4, abs=0.6)  # μ = √3 / 2
    notes = json.loads((tmp_path / "report" / "results.json").read_text())["notes"]
    assert any("ε ≤" in note and "k-means" in note for note in notes)
    assert any("Empirically, " in note for note in notes)
