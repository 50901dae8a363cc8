from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lightning_mia.attacks.classifiers.fit import FitSettings, fit_net
from lightning_mia.attacks.frame_networks.batches import LabelledBatch
from lightning_mia.attacks.learned_similarity import UtteranceNet
from lightning_mia.utilities.errors import InputError


class Watched(UtteranceNet):
    """Records its validation losses; each epoch is one batch."""

    def on_fit_start(self) -> None:
        self.losses: list[float] = []

    def validation_step(self, batch: LabelledBatch, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        self.losses.append(self.loss(batch).item())


def batch(seed: int, n: int = 12, dim: int = 8) -> LabelledBatch:
    """Draw noise with random labels, on which a network overfits."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n, 5, dim, generator=generator)
    labels = torch.randint(2, (n,), generator=generator).float()
    return LabelledBatch(hidden, torch.full((n,), 5), torch.arange(n).unsqueeze(1), labels)


class Epoch:
    """One batch per epoch."""

    def __init__(self, batch: LabelledBatch) -> None:
        self.batch = batch

    def __iter__(self) -> Iterator[LabelledBatch]:
        yield self.batch


def fit(settings: FitSettings, training: LabelledBatch, validation: LabelledBatch) -> Watched:
    return fit_net(
        lambda: Watched(8, settings.dropout, settings.learning_rate),
        Epoch(training),
        Epoch(validation),
        settings=settings,
        weight_seed=0,
        dropout_seed=0,
        device=torch.device("cpu"),
        title="Fitting",
    )


def test_early_stopping_restores_the_best_weights() -> None:
    net = fit(FitSettings(learning_rate=0.05, epochs=200, patience=4), batch(0), batch(1))
    assert 4 < len(net.losses) < 200
    assert net.losses.index(min(net.losses)) == len(net.losses) - 1 - 4
    with torch.no_grad():
        assert net.loss(batch(1)).item() == pytest.approx(min(net.losses), rel=1e-6)
        assert min(net.losses) < net.losses[-1]


def test_fit_learns_a_planted_difference() -> None:
    planted = batch(0, n=64)
    planted = planted._replace(hidden=planted.hidden + 2 * planted.labels.view(-1, 1, 1))
    net = fit(FitSettings(learning_rate=0.01, epochs=40), planted, planted)
    assert net.losses[-1] < 0.2 < 0.5 < net.losses[0]


def test_nan_loss_ends_the_fit() -> None:
    broken = batch(0)._replace(hidden=torch.full((12, 5, 8), torch.nan))
    assert len(fit(FitSettings(patience=2), broken, broken).losses) == 2


def test_fit_writes_no_files_and_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.chdir(tmp_path)
    fit(FitSettings(epochs=2), batch(0), batch(1))
    assert list(tmp_path.rglob("*")) == []
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_fit_ignores_distributed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    for name in ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    assert len(fit(FitSettings(epochs=2), batch(0), batch(1)).losses) == 2


@pytest.mark.parametrize(
    "bad", [{"epochs": 0}, {"patience": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"dropout": 1.0}]
)
def test_invalid_settings_raise(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=rf"fit\.{next(iter(bad))} is"):
        FitSettings(**bad)
