"""Numbers out of range are refused by name, in Python and on the command line."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from lightning_mia.audit.monitor import MonitorSettings
from lightning_mia.audit.settings import PositiveControlSettings
from lightning_mia.audit.utility.settings import UtilitySettings
from lightning_mia.corpora import SyntheticVoices
from lightning_mia.corpora.loading.augmentation import SpecAugment, TimeMasking
from lightning_mia.evaluation import EvaluationSettings
from lightning_mia.models import CPC, TERA, HuBERT, MelHuBERT, Wav2Vec2
from lightning_mia.signals.settings import ProbeSettings
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


OUT_OF_RANGE: list[tuple[Callable[..., Any], str, float]] = [
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
    (trainer, "accumulate_grad_batches", -1),
    (trainer, "accumulate_grad_batches", 0),
    (trainer, "gradient_clip_val", math.nan),
    (trainer, "num_nodes", 10**12),
    (trainer, "max_epochs", 10**12),
    (trainer, "devices", 3000),
]


@pytest.mark.parametrize(("make", "name", "value"), OUT_OF_RANGE)
def test_a_number_out_of_range_is_refused_by_name(make: Callable[..., Any], name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"{name} (is|must be at least) .*{value if value < 1e9 else ''}") as refused:
        make(**{name: value})
    assert "\n" not in str(refused.value)


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
