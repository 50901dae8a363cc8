"""Numbers out of range are refused by name, in Python and on the command line."""

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

import lightning_mia
from lightning_mia.attacks import (
    LearnedUtteranceSimilarity,
    QuantileRegression,
    UserStatistics,
    UtteranceSimilarity,
)
from lightning_mia.attacks.classifiers.boosted_trees import TreeSettings
from lightning_mia.attacks.classifiers.fit import FitSettings
from lightning_mia.attacks.classifiers.mlp import NetSettings
from lightning_mia.attacks.scalar_signals.hidden_states import FrameGeometry, ViewConsistency
from lightning_mia.attacks.scalar_signals.neighbours import NearestNeighbours
from lightning_mia.audit.ablation.grid import Factor, Grid
from lightning_mia.audit.audit_trainer import AuditTrainer
from lightning_mia.audit.monitor import LeakageMonitor, MonitorSettings
from lightning_mia.audit.settings import PositiveControlSettings
from lightning_mia.audit.utility.settings import UtilitySettings
from lightning_mia.corpora import SyntheticVoices
from lightning_mia.corpora.loading.augmentation import SpecAugment, TimeMasking
from lightning_mia.evaluation import EvaluationSettings
from lightning_mia.models import CPC, TERA, HuBERT, MelHuBERT, Wav2Vec2
from lightning_mia.signals.crop_responses import CropResponses
from lightning_mia.signals.encoder_geometry import EncoderGeometry
from lightning_mia.signals.encoder_outputs import EncoderAnswers
from lightning_mia.signals.perturbed_pretext import PerturbedTask
from lightning_mia.signals.pretext_by_mask import PretextDetails
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.surrogate.fillings import ShapedNoise, SteadyTone
from lightning_mia.signals.surrogate.targets import AdversarysClusters, LogMelFrames
from lightning_mia.signals.surrogate_pretext import SurrogateHead
from lightning_mia.signals.view_consistency import ViewAgreement
from lightning_mia.splits import SpeakerDesign, UtteranceDesign
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.training.dp_sgd import PerExampleGradients
from lightning_mia.training.parallel.settings import FleetSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import MAX_PROCESSES, Range


def data(**options: Any) -> SpeechDataModule:
    return SpeechDataModule(SyntheticVoices(n_speakers=4), **options)


def trainer(**options: Any) -> TrainerFactory:
    return TrainerFactory(options)


def grid(**options: Any) -> Grid:
    return Grid("base.yaml", {"epochs": Factor([1, 2], "trainer.max_epochs")}, **options)


OUT_OF_RANGE: list[tuple[Callable[..., Any], str, Any]] = [
    *((model, "dropout", value) for model in (CPC, TERA, HuBERT, MelHuBERT, Wav2Vec2) for value in (-0.1, 1.0)),
    *((model, "learning_rate", value) for model in (CPC, TERA) for value in (-1.0, 0.0, 1e9, 1e38, math.nan)),
    *((TERA, "n_layers", value) for value in (-1, 0, 1_000_000)),
    (TERA, "warmup_fraction", 2.0),
    (TERA, "weight_decay", -0.1),
    (TERA, "noise_probability", -1.0),
    (TERA, "dim", 10**12),
    (MelHuBERT, "cluster_seed", -1),
    (MelHuBERT, "n_clusters", 10**9),
    (Wav2Vec2, "diversity_weight", math.inf),
    (Wav2Vec2, "mask_length", 0),
    *((data, "num_workers", value) for value in (-1, 1000)),
    *((data, "batch_seconds", value) for value in (-1.0, 0.0, math.nan, math.inf)),
    *((data, "split_seed", value) for value in (-1, 2**40)),
    (ProbeSettings, "num_workers", 1000),
    (ProbeSettings, "n_masks", 10**9),
    (ProbeSettings, "mask_seed", -1),
    (EvaluationSettings, "n_redraws", 10**11),
    (EvaluationSettings, "n_bootstraps", 10**11),
    (EvaluationSettings, "seed", -1),
    (FleetSettings, "size", 100_000_000),
    (FleetSettings, "workers", 0),
    (FleetSettings, "retries", -1),
    (PositiveControlSettings, "n_units", 7),
    (MonitorSettings, "every_n_epochs", -1),
    (UtilitySettings, "n_recordings", 1),
    (UtilitySettings, "seed", -1),
    (Matching, "tolerance", 2.0),
    (Matching, "seed", -1),
    (SpecAugment, "n_time", -1),
    (SpecAugment, "time_share", 1.0),
    (TimeMasking, "share", math.nan),
    (PerExampleGradients, "clip_norm", math.nan),
    (UtteranceDesign, "n_units", 10**12),
    (SpeakerDesign, "n_units", 10**12),
    (EvaluationSettings, "fprs", [0.1, 1.0]),
    (FitSettings, "learning_rate", math.nan),
    (FitSettings, "epochs", 0),
    (FitSettings, "dropout", 1.0),
    (NetSettings, "hidden", 10**9),
    (NetSettings, "shares", [0.5, 0.0]),
    (NetSettings, "decay", -1.0),
    (TreeSettings, "leaves", [1]),
    (TreeSettings, "most_trees", 10**9),
    (TreeSettings, "tried", 0.0),
    *((attack, "layer", 10**9) for attack in (UtteranceSimilarity, QuantileRegression, FrameGeometry, ViewConsistency)),
    (LearnedUtteranceSimilarity, "k", 0),
    (NearestNeighbours, "k", 0),
    (UserStatistics, "n_trees", 0),
    (CropResponses, "shortest", 0.0),
    (EncoderAnswers, "n_masks", 0),
    (EncoderGeometry, "most_frames", 0),
    (PerturbedTask, "snr", math.nan),
    (PretextDetails, "n_masks", 0),
    (ViewAgreement, "n_views", 10**6),
    (ViewAgreement, "seed", -1),
    (SurrogateHead, "span", -1.0),
    (SurrogateHead, "layers", [-1, 10**9]),
    (SteadyTone, "period", 0),
    (ShapedNoise, "gain", math.inf),
    (LogMelFrames, "ridge", -1.0),
    (AdversarysClusters, "n_clusters", 0),
    (LeakageMonitor, "every_n_epochs", 0),
    (grid, "seeds", 10**12),
    (grid, "seeds", [1, -1]),
    (AuditTrainer, "stop_after_epochs", 0),
    (AuditTrainer, "keep_epochs", [1, -2]),
    (data, "max_seconds", 0.0),
    (trainer, "accumulate_grad_batches", -1),
    (trainer, "accumulate_grad_batches", 0),
    (trainer, "gradient_clip_val", math.nan),
    (trainer, "num_nodes", 10**12),
    (trainer, "max_epochs", 10**12),
    (trainer, "devices", 3000),
]


@pytest.mark.parametrize(("make", "name", "value"), OUT_OF_RANGE)
def test_a_number_out_of_range_is_refused_by_name(make: Callable[..., Any], name: str, value: Any) -> None:
    number = value[-1] if isinstance(value, list) else value
    shown = number if number < 1e9 else ""
    with pytest.raises(InputError, match=rf"{name} (is|must be at least) .*{shown}") as refused:
        make(**{name: value})
    assert "\n" not in str(refused.value)


def test_numbers_of_a_list_have_their_own_range() -> None:
    assert grid(seeds=[0, 2**31]).seeds == [0, 2**31]
    with pytest.raises(InputError, match=r"^seeds is 0: give 1 to 10,000$"):
        grid(seeds=0)


def configurable_classes() -> set[type]:
    """Public classes, with the classes of their constructors' arguments and all subclasses of ours."""
    for module in pkgutil.walk_packages(lightning_mia.__path__, "lightning_mia."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    public = [getattr(lightning_mia, name) for name in lightning_mia.__all__]
    waiting = [item for item in public if inspect.isclass(item) and item.__name__ not in RESULTS] + [Grid]
    found: set[type] = set()
    while waiting:
        cls = waiting.pop()
        if cls not in found and cls.__module__.startswith("lightning_mia.") and not issubclass(cls, Exception):
            found.add(cls)
            waiting += cls.__subclasses__()
            waiting += [
                part for hint in constructor_types(cls).values() for part in parts(hint) if inspect.isclass(part)
            ]
    return found


RESULTS = {
    *("AttackResult", "AuditReport", "Evidence", "NotebookReport", "ScoreEvaluation", "Scores", "ShadowModels"),
    *("Signals", "Split", "Verdict"),
}
"""Public classes of what a run computes, which no one configures."""


def constructor_types(cls: type) -> dict[str, Any]:
    annotated = cls if is_dataclass(cls) else cls.__init__  # type: ignore[misc]
    names = inspect.signature(cls).parameters
    return {name: hint for name, hint in get_type_hints(annotated, include_extras=True).items() if name in names}


def parts(hint: Any) -> Iterator[Any]:
    """A type and the types within it, but for numbers with a range."""
    yield hint
    if get_origin(hint) is not Annotated or not any(isinstance(item, Range) for item in get_args(hint)):
        for part in get_args(hint):
            yield from parts(part)


def test_every_number_that_can_be_configured_has_its_range_in_its_type() -> None:
    classes = configurable_classes()
    assert {SteadyTone, FitSettings, UserStatistics, PerExampleGradients, NearestNeighbours, Grid} <= classes
    without = [
        f"{cls.__name__}.{name}"
        for cls in classes
        for name, hint in constructor_types(cls).items()
        if {int, float} & {part for part in parts(hint) if inspect.isclass(part)}
    ]
    assert not without


@pytest.mark.parametrize("value", [0, 7.5, 10**12])
def test_infinity_is_no_finite_number(value: float) -> None:
    assert value in Range(0)
    assert math.inf not in Range(0)
    assert -math.inf not in Range(0)


def test_the_message_says_what_is_sensible() -> None:
    with pytest.raises(InputError, match=rf"^data\.num_workers is 1000: give 0 to {MAX_PROCESSES}$"):
        data(num_workers=1000)
    with pytest.raises(InputError, match=r"^exposure\.exposures is 0: give 1 to 1,000,000$"):
        PositiveControlSettings(exposures=[1, 0])
