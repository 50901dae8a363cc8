"""Ask the target and its untrained control about recordings that neither has seen, and say what they can do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_mia.audit.probing import ProbePlan
from lightning_mia.audit.utility.linear_probe import linear_probe
from lightning_mia.audit.utility.settings import UtilitySettings
from lightning_mia.evaluation.statistics.rates import rate_interval
from lightning_mia.evaluation.utility import ProbeAccuracy, Utility
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.signals.encoder_outputs import EncoderAnswers
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.table import Signals
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import TrainerFactory


@dataclass(frozen=True)
class CommonTask(EncoderAnswers):
    """The questions of every audit, with masks of a common law: models trained with different masks can be compared.

    Args:
        n_masks: as in `EncoderAnswers`.
        mask_seed: as in `EncoderAnswers`.
        mask_probability: instead of the model's own; None: the model's own.
    """

    name = "utility"

    mask_probability: float | None = None

    def law(self, model: SpeechModel) -> SpanMask | None:
        """The model's own spans, as many as are wanted; None where its task hides no frames."""
        own = model.mask_span
        if own is None or self.mask_probability is None:
            return own
        return replace(own, probability=self.mask_probability)


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
    about = [data.audio.data_hash(ids), data.query_changes.fingerprint()]
    interview = ProbePlan([task], data.queries(ids), data.queries([]), about, probing, folder, trainers)
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
