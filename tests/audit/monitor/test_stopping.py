from dataclasses import replace
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from lightning_mia import LeakageMonitor
from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.audit.monitor import MonitorSettings
from lightning_mia.audit.monitor.leakage import measure_leakage
from lightning_mia.audit.monitor.stopping import held_out_loss
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.table import Signals
from lightning_mia.splits.data_module import SplitCorpus
from lightning_mia.training.train import Trained, train
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.stage import Stage
from tests.audit.monitor.conftest import tiny_tera

pytestmark = pytest.mark.slow


class Planted(Attack):
    """Has given AUROCs, one for each measurement."""

    access = "grey-box"
    levels = ("utterance",)
    reference = "planted"

    def __init__(self, data: SplitCorpus, aurocs: list[float], two_sided: bool = False) -> None:
        self.members = data.split.challenge("utterance").set_index("id")["member"]
        self.aurocs, self.two_sided = iter(aurocs), two_sided

    @property
    def name(self) -> str:
        return "planted"

    def score(self, evidence: Evidence) -> pd.Series:
        ids = evidence.challenge["id"]
        members = self.members.loc[ids].to_numpy()
        others = np.arange((~members).sum(), dtype=float)
        values = np.empty(len(ids))
        values[~members] = others
        values[members] = round(next(self.aurocs) * len(others)) - 0.5  # above that many of the others
        return pd.Series(values, index=ids.to_numpy())


class Weights(Callback):
    """Keeps the weights after every epoch."""

    def __init__(self) -> None:
        self.after: dict[int, dict[str, torch.Tensor]] = {}

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.after[trainer.current_epoch + 1] = {k: v.clone() for k, v in pl_module.state_dict().items()}


class KilledAfter(Callback):
    """Ends a training as a kill would, once an epoch is over and its checkpoint saved."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        if trainer.current_epoch == self.epochs:
            raise RuntimeError("killed")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == self.epochs:
            raise RuntimeError("killed")


def run(data: SplitCorpus, folder: Path, monitor: LeakageMonitor, *others: Callback) -> Trained:
    factory = TrainerFactory(
        {"max_epochs": 6, "accelerator": "cpu", "devices": 1, "enable_progress_bar": False, "logger": False}
    )
    recordings = data.training_recordings(data.split.training_ids(), seed=0)

    def make_trainer(callbacks: list[Callback]) -> L.Trainer:
        return factory.for_training(folder, "Training", [*callbacks, *others])

    return train(tiny_tera(), recordings, Stage(folder, {}), 0, make_trainer, callbacks=[monitor.attach(data)])


def monitor_of(data: SplitCorpus, aurocs: list[float], two_sided: bool = False) -> LeakageMonitor:
    return LeakageMonitor(every_n_epochs=1, attacks=[Planted(data, aurocs, two_sided)], stop_above=0.6)


def same(weights: dict[str, torch.Tensor], trained: Trained) -> bool:
    return all(torch.equal(weights[name], value) for name, value in trained.model.state_dict().items())


@pytest.fixture(scope="module")
def weights(data: SplitCorpus, tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, torch.Tensor]]:
    """Those after each epoch of a training that was stopped after epoch 4."""
    weights, folder = Weights(), tmp_path_factory.mktemp("stopped")
    monitor = monitor_of(data, [0.5, 0.5, 0.25, 0.75])
    trained = run(data, folder, monitor, weights)
    assert sorted(weights.after) == [1, 2, 3]
    assert same(weights.after[2], trained) and not same(weights.after[3], trained)
    assert (trained.record["epochs"], trained.record["steps"]) == (2, 4)
    assert (pd.read_csv(folder / "trained_utterances.csv")["times"] == 2).all()
    assert [row["epoch"] for row in monitor.rows] == [0, 1, 2, 3]
    (note,) = trained.record["notes"]
    assert "after epoch 3 planted had AUROC 0.750" in note and "that of epoch 2" in note
    return weights.after


def test_the_model_is_the_last_one_below_the_bound(weights: dict) -> None:
    assert weights  # the fixture has checked it


def test_an_interrupted_training_still_restores_the_snapshot(weights: dict, data: SplitCorpus, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        run(data, tmp_path, monitor_of(data, [0.5, 0.5, 0.25, 0.75]), KilledAfter(3))
    assert (tmp_path / "last.ckpt").exists()
    resumed = run(data, tmp_path, monitor_of(data, []))
    assert resumed.record["epochs"] == 2
    assert same(weights[2], resumed)


def test_two_sided_attacks_are_bounded_on_both_sides(data: SplitCorpus, tmp_path: Path) -> None:
    trained = run(data, tmp_path, monitor_of(data, [0.5, 0.45, 0.25], two_sided=True))
    assert trained.record["epochs"] == 1


def test_a_bound_exceeded_by_chance_is_refused(data: SplitCorpus, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"24 members, 24 non-members\) is too small for this bound"):
        run(data, tmp_path, monitor_of(data, [0.75]))


def test_a_bound_that_holds_changes_nothing(data: SplitCorpus, tmp_path: Path) -> None:
    trained = run(data, tmp_path, monitor_of(data, [0.5] * 7))
    assert trained.record["epochs"] == 6
    assert trained.record["notes"] == []


def test_the_upper_end_of_the_interval_may_be_compared(data: SplitCorpus) -> None:
    monitors = [
        LeakageMonitor(attacks=[Planted(data, [0.55])], stop_above=0.65, stop_by=by).attach(data)
        for by in ("estimate", "upper_bound")
    ]
    passed = []
    for monitor in monitors:
        challenge = monitor.challenge
        assert challenge is not None and monitor.bound is not None
        ids = list(challenge.table["id"])
        signals = Signals(pd.DataFrame(index=pd.Index(ids, dtype=object)), np.zeros((len(ids), 1, 1)))
        (leakage,), _ = measure_leakage(signals, challenge, monitor.attacks)
        assert leakage.auroc == pytest.approx(13 / 24)  # 13 of 24 others are below every member
        assert leakage.interval[1] > 0.65
        passed.append(monitor.bound.exceeded_by([leakage]) is not None)
    assert passed == [False, True]


def losses(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Replace the held-out pretext losses by given values."""
    remaining = iter(values)
    monkeypatch.setattr("lightning_mia.audit.monitor.leakage_monitor.held_out_loss", lambda *_: next(remaining))


def patient(data: SplitCorpus, **options: float) -> LeakageMonitor:
    return LeakageMonitor(every_n_epochs=1, attacks=[Planted(data, [0.5] * 7)], patience=2, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "ended", "kept"),
    [
        ([0.9, 0.5, 0.4, 0.5, 0.4], 4, 2),  # an equal loss is no gain
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.45], 6, 5),  # it had no time to lose patience, and goes back all the same
        ([0.9, 0.8, 0.85, 0.7, 0.75, 0.6, 0.5], 6, 6),
    ],
)
def test_early_stopping_restores_the_lowest_held_out_loss(
    values: list[float],
    ended: int,
    kept: int,
    data: SplitCorpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses(monkeypatch, values)
    weights, monitor = Weights(), patient(data)
    trained = run(data, tmp_path, monitor, weights)
    assert monitor.rows[-1]["epoch"] == ended
    assert trained.record["epochs"] == kept and same(weights.after[kept], trained)
    assert len(trained.record["notes"]) == (ended > kept)
    assert (pd.read_csv(tmp_path / "trained_utterances.csv")["times"] == kept).all()


def test_early_stopping_uses_auxiliary_recordings(data: SplitCorpus, tmp_path: Path) -> None:
    probed: list[str] = []

    class Listening(type(tiny_tera())):  # type: ignore[misc]
        def task_scores(self, batch, masks, noise):
            probed.extend(batch.ids)
            return super().task_scores(batch, masks, noise)

    challenge = patient(data).attach(data).challenge
    assert challenge is not None
    trainer = L.Trainer(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False)
    loss = held_out_loss(Listening(n_mels=20, n_layers=1, dim=16, n_heads=2), challenge, ProbeSettings(2), trainer)
    assert sorted(probed) == sorted(data.split.auxiliary_ids())
    assert np.isfinite(loss)


def test_early_stopping_needs_auxiliary_recordings(data: SplitCorpus, tmp_path: Path) -> None:
    monitor = patient(data).attach(data)
    assert monitor.challenge is not None
    monitor.challenge = replace(monitor.challenge, auxiliary=data.queries([]))
    with pytest.raises(InputError, match="but there are none"):
        monitor.setup(L.Trainer(accelerator="cpu", devices=1, logger=False), tiny_tera(), "fit")


def test_patience_changes_the_hash_and_nothing_else_does(data: SplitCorpus) -> None:
    assert LeakageMonitor().fingerprint() is None
    assert LeakageMonitor(patience=2).fingerprint() != LeakageMonitor(patience=3).fingerprint()
    assert "patience" not in (LeakageMonitor(stop_above=0.6).fingerprint() or {})
    with pytest.raises(InputError, match="patience needs measurements"):
        MonitorSettings(patience=2)
