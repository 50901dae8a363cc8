"""Ask the target and its untrained control about recordings that neither has seen, and say what they can do."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_mia.data.module import SpeechDataModule
from lightning_mia.evaluation.rates import rate_interval
from lightning_mia.interview import Interview
from lightning_mia.models.base import PRETEXT_SCORE
from lightning_mia.probe.settings import ProbeSettings
from lightning_mia.probe.signals import Signals
from lightning_mia.trainer_factory import TrainerFactory
from lightning_mia.training.train import Trained
from lightning_mia.utility.linear_probe import linear_probe
from lightning_mia.utility.questions import CommonTask
from lightning_mia.utility.results import ProbeAccuracy, Utility
from lightning_mia.utility.settings import UtilitySettings


def measure_utility(
    models: Mapping[str, Trained],
    unseen: pd.DataFrame,
    data: SpeechDataModule,
    settings: UtilitySettings,
    probing: ProbeSettings,
    folder: Path,
    trainers: TrainerFactory,
) -> Utility:
    """What the target and the untrained control can do.

    Args:
        models: "target", and "untrained" where there is that control.
        unseen: `id`, `speaker`, `label`, as `recordings_for` gives them.
        data: the corpus.
        settings: what is measured.
        probing: how signals are taken.
        folder: where signals are kept.
        trainers: make the Trainer.
    """
    task = CommonTask(probing.n_masks, probing.mask_seed, settings.mask_probability)
    ids = list(unseen["id"])
    about = [data.audio.sha256_of(ids), data.query_changes.of_consequence()]
    interview = Interview([task], data.queries(ids), data.queries([]), about, probing, folder, trainers)
    signals = {
        name: interview.signals(name, models[name].model, models[name].sha256)
        for name in ("target", "untrained")
        if name in models
    }
    law = task.law(models["target"].model)
    return summarise(signals, unseen, settings, law.probability if law else None)


def summarise(
    signals: Mapping[str, Signals],
    unseen: pd.DataFrame,
    settings: UtilitySettings,
    mask_probability: float | None = None,
) -> Utility:
    """From signals to accuracies and pretext scores.

    Args:
        signals: of "target", and of "untrained" where there is that control.
        unseen: `id`, `speaker`, `label`.
        settings: what is measured.
        mask_probability: of the masks of the pretext task.
    """
    probed = settings.probe != "none"
    labels = unseen["label"].value_counts()
    accuracies = {name: probe_accuracy(of_model, unseen, settings) for name, of_model in signals.items() if probed}
    pretext = {
        name: float(of_model.pretext_score().mean())
        for name, of_model in signals.items()
        if of_model.has(PRETEXT_SCORE)
    }
    return Utility(
        probe=settings.probe,
        n_recordings=len(unseen),
        n_speakers=int(unseen["speaker"].nunique()),
        n_classes=len(labels) if probed else 0,
        chance=float(labels.max() / len(unseen)) if probed else None,
        target=accuracies.get("target"),
        untrained=accuracies.get("untrained"),
        pretext=pretext.get("target"),
        pretext_untrained=pretext.get("untrained"),
        mask_probability=mask_probability if pretext else None,
    )


def probe_accuracy(signals: Signals, unseen: pd.DataFrame, settings: UtilitySettings) -> ProbeAccuracy:
    """Probe one model: keywords of speakers who are new to the probe, or speakers by recordings that are.

    Args:
        signals: of the model, for these recordings.
        unseen: `id`, `speaker`, `label`.
        settings: what is told, and the seed of the folds.
    """
    speakers = unseen["speaker"].to_numpy(dtype=str)
    pooled = signals.take(unseen["id"]).pooled.astype(np.float64)
    groups = speakers if settings.probe == "keyword" else None
    probed = linear_probe(pooled, unseen["label"].to_numpy(dtype=str), groups, settings.seed)
    return ProbeAccuracy(float(probed.hits.mean()), rate_interval(probed.hits, speakers), probed.layers)
