import random
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from sklearn.metrics import roc_auc_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_mia import LeakageMonitor
from lightning_mia.attacks import LearnedUtteranceSimilarity, LiRA, PretextLoss, UtteranceSimilarity
from lightning_mia.audit.monitor.records import read_table
from lightning_mia.corpora.loading.batch import collate
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.encoder_outputs import EncoderAnswers
from lightning_mia.splits.data_module import SplitCorpus
from lightning_mia.utilities.errors import InputError
from tests.audit.monitor.conftest import Fit, tiny_hubert, tiny_tera

pytestmark = pytest.mark.slow


class EndState(Callback):
    """Keeps what a measurement could have disturbed, as the training ends."""

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.state = {
            "random": (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()),
            "modes": {name: module.training for name, module in pl_module.named_modules()},
            "optimizer": trainer.optimizers[0].state_dict()["state"],
            "gradients": [parameter.grad for parameter in pl_module.parameters()],
        }


class PartInEvaluation(Callback):
    """Switches a part of the model to evaluation, as one does with a frozen front end."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.transformer.layers[0].eval()


def equal(first: object, second: object) -> bool:
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(equal(*pair) for pair in zip(first, second, strict=True))
    return bool(first == second)


def test_monitoring_does_not_change_the_training(fit: Fit, data: SplitCorpus, tmp_path: Path) -> None:
    alone, watched = EndState(), EndState()
    monitor = LeakageMonitor(every_n_epochs=1, layers="all").attach(data)
    plain = fit(PartInEvaluation(), alone)
    seen = fit(PartInEvaluation(), monitor, watched, folder=tmp_path / "watched")
    assert len({row["epoch"] for row in monitor.rows}) == 5
    assert equal(dict(plain.state_dict()), dict(seen.state_dict()))
    assert equal(alone.state, watched.state)
    assert not watched.state["modes"]["transformer.layers.0"]
    assert watched.state["modes"]["transformer.layers.1"]


def slow_scores(model: SpeechModel, data: SplitCorpus) -> dict[str, list[float]]:
    """Both default attacks, one recording at a time."""
    challenge = data.split.challenge("utterance")
    scores: dict[str, list[float]] = {"pretext_loss": [], "utterance_similarity": []}
    with torch.no_grad():
        for recording in data.queries(list(challenge["id"])):
            signals = EncoderAnswers().measure(model.eval(), collate([recording])).scalars
            masks = [float(value) for name, value in signals.items() if name.startswith("pretext_score")]
            scores["pretext_loss"].append(float(np.mean(masks)))
            scores["utterance_similarity"].append(1 - float(signals["pairwise_cosine_layer2"]))
    return scores


def test_measurements_equal_a_slow_probe(fit: Fit, data: SplitCorpus, tmp_path: Path) -> None:
    monitor = LeakageMonitor(every_n_epochs=3).attach(data)
    model = fit(monitor, model=tiny_hubert())
    table = read_table(tmp_path / "leakage.csv")
    assert list(table.columns) == ["epoch", "step", "attack", "layer", "auroc", "lo", "hi", "gap"]
    assert table[["epoch", "step"]].drop_duplicates().to_numpy().tolist() == [[0, 0], [3, 6], [4, 8]]
    members = data.split.challenge("utterance")["member"].to_numpy()
    last = table[table["epoch"] == 4].set_index("attack")
    for attack, scores in slow_scores(model, data).items():
        values = np.array(scores)
        assert last.loc[attack, "auroc"] == pytest.approx(roc_auc_score(members, values), abs=0.005)
        assert last.loc[attack, "gap"] == pytest.approx(values[members].mean() - values[~members].mean(), abs=1e-4)
        assert last.loc[attack, "lo"] < last.loc[attack, "auroc"] < last.loc[attack, "hi"]
    assert pd.isna(last.loc["pretext_loss", "layer"])
    assert last.loc["utterance_similarity", "layer"] == 2


def test_all_layers_have_rows(fit: Fit, data: SplitCorpus, tmp_path: Path) -> None:
    fit(LeakageMonitor(every_n_epochs=9, layers="all").attach(data), max_epochs=1)
    table = read_table(tmp_path / "leakage.csv")
    assert table["layer"][table["attack"] == "utterance_similarity"].tolist() == [0, 1, 2] * 2
    assert (tmp_path / "leakage_by_layer_utterance_similarity.png").stat().st_size > 5000


class Killed(Callback):
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 2:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "at_3.ckpt")
            raise RuntimeError("killed")


def test_a_resumed_training_continues_the_table(fit: Fit, data: SplitCorpus, tmp_path: Path) -> None:
    monitor = LeakageMonitor(every_n_epochs=2).attach(data)
    with pytest.raises(RuntimeError, match="killed"):
        fit(monitor, Killed())
    model = tiny_tera()
    trainer = L.Trainer(max_epochs=4, accelerator="cpu", devices=1, default_root_dir=tmp_path, logger=False,
                        enable_checkpointing=False, enable_progress_bar=False, callbacks=[monitor])  # fmt: skip
    recordings = data.training_recordings(data.split.training_ids(), seed=0)
    trainer.fit(model, datamodule=recordings, ckpt_path=tmp_path / "at_3.ckpt")
    assert read_table(tmp_path / "leakage.csv")["epoch"].tolist() == [0, 0, 2, 2, 4, 4]
    fit(monitor, max_epochs=1)  # another training with the same monitor and folder begins anew
    assert read_table(tmp_path / "leakage.csv")["epoch"].tolist() == [0, 0, 1, 1]


def test_tensorboard_has_metrics_curves_and_histograms(fit: Fit, data: SplitCorpus, tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, name=None, version="tensorboard", default_hp_metric=False)
    monitor = LeakageMonitor(every_n_epochs=1, layers="all").attach(data)
    fit(monitor, max_epochs=1, logger=logger)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    tags = events.Tags()
    assert {"leakage/pretext_loss/auroc", "leakage/utterance_similarity_layer0/gap"} <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("leakage/pretext_loss/auroc_ci95_low")] == [0, 2]
    rows = [row for row in monitor.rows if row["attack"] == "pretext_loss"]
    logged = [event.value for event in events.Scalars("leakage/pretext_loss/auroc")]
    assert logged == pytest.approx([row["auroc"] for row in rows])
    assert {"leakage/roc", "leakage/roc_log", "leakage/pretext_loss/scores"} <= set(tags["images"])
    assert "leakage/by_layer/utterance_similarity" in tags["images"]
    assert {"leakage/pretext_loss/members", "leakage/utterance_similarity/others"} <= set(tags["histograms"])
    others = events.Histograms("leakage/pretext_loss/others")[-1].histogram_value
    assert others.num == 24
    assert events.Scalars("held_out/pretext_loss")[-1].value == pytest.approx(-others.sum / 24, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attacks": [LiRA()]}, "cannot run lira, which needs shadow models"),
        ({"attacks": [LearnedUtteranceSimilarity()]}, "which needs frames"),
        ({"attacks": [UtteranceSimilarity(), UtteranceSimilarity(1)]}, "use layers: all"),
        ({"every_n_epochs": 0}, "LeakageMonitor.every_n_epochs is 0"),
        ({"stop_above": 0.4}, "stop_above is 0.4"),
    ],
)
def test_unsupported_attacks_and_settings_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LeakageMonitor(**options)


def test_a_monitor_without_data_is_refused(fit: Fit) -> None:
    with pytest.raises(InputError, match="has no members and non-members"):
        fit(LeakageMonitor(attacks=[PretextLoss()]))
