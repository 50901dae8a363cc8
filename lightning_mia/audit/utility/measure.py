"""Measure the utility of the target and its untrained control."""

from collections.abc import Mapping, Sequence
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
from lightning_mia.splits.data_module import SplitCorpus
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.progress_bar import Progress
from lightning_mia.utilities.ranges import Share

MEASURED_MODELS = ("target", "untrained")
"""Models whose utility is measured, the second if that control is enabled."""


@dataclass(frozen=True)
class CommonTask(EncoderAnswers):
    """Encoder outputs with a common mask distribution.

    It makes models trained with different masks comparable.

    Args:
        n_masks: as in `EncoderAnswers`.
        mask_seed: as in `EncoderAnswers`.
        mask_probability: probability that replaces the model's own; None: the model's own.
    """

    name = "utility"

    mask_probability: Share | None = None

    def mask_distribution(self, model: SpeechModel) -> SpanMask | None:
        """Return the common distribution, with the model's span length.

        None if its task masks no frames.
        """
        distribution = model.mask_span
        if distribution is None or self.mask_probability is None:
            return distribution
        return replace(distribution, probability=self.mask_probability)


def plan_utility(
    ids: Sequence[str],
    data: SplitCorpus,
    settings: UtilitySettings,
    probing: ProbeSettings,
    folder: Path,
    trainers: TrainerFactory,
) -> ProbePlan:
    """Plan the probes of held-out recordings.

    Args:
        ids: held-out recordings.
        data: the corpus.
        settings: utility settings.
        probing: settings of the probe.
        folder: folder of the cached signals.
        trainers: creates the Trainer.
    """
    task = CommonTask(probing.encoder_outputs.n_masks, probing.mask_seed, settings.mask_probability)
    inputs = [data.audio.data_hash(ids), data.query_changes.fingerprint()]
    return ProbePlan([task], data.queries(list(ids)), data.queries([]), inputs, probing, folder, trainers)


def measure_utility(
    models: Mapping[str, Trained],
    held_out: pd.DataFrame,
    settings: UtilitySettings,
    plan: ProbePlan,
    progress: Progress | None = None,
) -> Utility:
    """Probe models on held-out recordings.

    Args:
        models: those of `MEASURED_MODELS` that there are.
        held_out: `id`, `speaker`, `label`, as returned by `recordings_for`.
        settings: utility settings.
        plan: see `plan_utility`.
        progress: takes the work done.
    """
    signals = {name: plan.signals(name, model.model, model.sha256, progress) for name, model in models.items()}
    (task,) = plan.groups
    assert isinstance(task, CommonTask)
    distribution = task.mask_distribution(models["target"].model)
    return summarise(signals, held_out, settings, distribution.probability if distribution else None)


def summarise(
    signals: Mapping[str, Signals],
    held_out: pd.DataFrame,
    settings: UtilitySettings,
    mask_probability: float | None = None,
) -> Utility:
    """Compute accuracies and pretext scores from signals.

    Args:
        signals: signals of "target", and of "untrained" if that control is enabled.
        held_out: `id`, `speaker`, `label`.
        settings: utility settings.
        mask_probability: mask probability of the pretext task.
    """
    has_probe = settings.probe != "none"
    labels = held_out["label"].value_counts()
    accuracies = {name: probe_accuracy(table, held_out, settings) for name, table in signals.items() if has_probe}
    pretext = {name: float(table.pretext_score().mean()) for name, table in signals.items() if table.has(PRETEXT_SCORE)}
    return Utility(
        probe=settings.probe,
        n_recordings=len(held_out),
        n_speakers=int(held_out["speaker"].nunique()),
        n_classes=len(labels) if has_probe else 0,
        chance=float(labels.max() / len(held_out)) if has_probe else None,
        target=accuracies.get("target"),
        untrained=accuracies.get("untrained"),
        pretext=pretext.get("target"),
        pretext_untrained=pretext.get("untrained"),
        mask_probability=mask_probability if pretext else None,
    )


def probe_accuracy(signals: Signals, held_out: pd.DataFrame, settings: UtilitySettings) -> ProbeAccuracy:
    """Cross-validate a linear probe on one model's pooled hidden states.

    Keywords are tested on other speakers than in training, speakers on other recordings.

    Args:
        signals: signals of the model on these recordings.
        held_out: `id`, `speaker`, `label`.
        settings: label, and seed of the folds.
    """
    speakers = held_out["speaker"].to_numpy(dtype=str)
    pooled = signals.take(held_out["id"]).pooled.astype(np.float64)
    groups = speakers if settings.probe == "keyword" else None
    result = linear_probe(pooled, held_out["label"].to_numpy(dtype=str), groups, settings.seed)
    return ProbeAccuracy(float(result.hits.mean()), rate_interval(result.hits, speakers), result.layers)
