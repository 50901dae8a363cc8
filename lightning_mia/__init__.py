"""Membership inference against self-supervised speech models, with controls for confounds.

The public names below are imported on first use, so that `import lightning_mia` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_mia.attacks import (
        RMIA,
        SLMIA,
        Attack,
        AttackR,
        BaVarIA,
        CalibratedLoss,
        CTCLoss,
        EncoderMIS,
        EncoderMIT,
        EncoderMIV,
        Evidence,
        LearnedSpeakerSimilarity,
        LearnedUtteranceSimilarity,
        LiRA,
        MidPoint,
        PartCrop,
        PretextLoss,
        QuantileRegression,
        Relearn,
        ScoreFusion,
        ShadowClassifier,
        ShadowClassifierTree,
        ShadowModels,
        SpeakerLiRA,
        SpeakerRMIA,
        SpeakerSimilarity,
        SurrogateHeadAttack,
        TokenLoss,
        UserStatistics,
        UtteranceSimilarity,
        default_attacks,
    )
    from lightning_mia.audit.audit_trainer import AuditTrainer
    from lightning_mia.audit.monitor import LeakageMonitor, MonitorSettings
    from lightning_mia.audit.options import AuditOptions
    from lightning_mia.audit.score_evaluation import ScoreEvaluation, evaluate
    from lightning_mia.audit.settings import ControlSettings, PositiveControlSettings
    from lightning_mia.audit.utility.settings import UtilitySettings
    from lightning_mia.corpora import (
        TEDLIUM,
        VCTK,
        CMUArctic,
        CommonVoice,
        Corpus,
        FluentSpeechCommands,
        Folder,
        HuggingFaceDataset,
        Kaldi,
        LibriLightLimited,
        LibriSpeech,
        LJSpeech,
        Manifest,
        SpeechCommands,
        SyntheticVoices,
        TwoSources,
        VoxCeleb1,
    )
    from lightning_mia.corpora.loading.augmentation import SpecAugment, TimeMasking
    from lightning_mia.evaluation import AttackResult, EvaluationSettings, Scores, Verdict
    from lightning_mia.models import (
        CPC,
        CTC,
        TERA,
        HuBERT,
        MelHuBERT,
        PretrainedEncoder,
        PublishedCPC,
        PublishedTERA,
        SpeechModel,
        Wav2Vec2,
    )
    from lightning_mia.report.audit_report import AuditReport, PublishedFigure
    from lightning_mia.report.notebook_report import NotebookReport
    from lightning_mia.signals.base import SignalGroup
    from lightning_mia.signals.settings import ProbeSettings
    from lightning_mia.signals.table import Signals
    from lightning_mia.splits import Design, SpeakerDesign, Split, UtteranceDesign
    from lightning_mia.splits.data_module import SpeechDataModule
    from lightning_mia.splits.matching.settings import Matching
    from lightning_mia.training.dp_sgd import PerExampleGradients
    from lightning_mia.training.parallel.settings import FleetSettings
    from lightning_mia.utilities.errors import InputError

    __version__: str

MODULES = {  # public name: the module that defines or exports it
    "Attack": "attacks",
    "AttackR": "attacks",
    "AttackResult": "evaluation",
    "AuditOptions": "audit.options",
    "AuditReport": "report.audit_report",
    "AuditTrainer": "audit.audit_trainer",
    "BaVarIA": "attacks",
    "CMUArctic": "corpora",
    "CPC": "models",
    "CTC": "models",
    "CTCLoss": "attacks",
    "CalibratedLoss": "attacks",
    "CommonVoice": "corpora",
    "ControlSettings": "audit.settings",
    "Corpus": "corpora",
    "Design": "splits",
    "EncoderMIS": "attacks",
    "EncoderMIT": "attacks",
    "EncoderMIV": "attacks",
    "EvaluationSettings": "evaluation",
    "Evidence": "attacks",
    "FleetSettings": "training.parallel.settings",
    "FluentSpeechCommands": "corpora",
    "Folder": "corpora",
    "HuBERT": "models",
    "HuggingFaceDataset": "corpora",
    "Kaldi": "corpora",
    "InputError": "utilities.errors",
    "LJSpeech": "corpora",
    "LeakageMonitor": "audit.monitor",
    "LearnedSpeakerSimilarity": "attacks",
    "LearnedUtteranceSimilarity": "attacks",
    "LiRA": "attacks",
    "LibriLightLimited": "corpora",
    "LibriSpeech": "corpora",
    "Manifest": "corpora",
    "Matching": "splits.matching.settings",
    "MelHuBERT": "models",
    "MidPoint": "attacks",
    "MonitorSettings": "audit.monitor",
    "NotebookReport": "report.notebook_report",
    "PartCrop": "attacks",
    "PerExampleGradients": "training.dp_sgd",
    "PositiveControlSettings": "audit.settings",
    "PretextLoss": "attacks",
    "PretrainedEncoder": "models",
    "ProbeSettings": "signals.settings",
    "PublishedCPC": "models",
    "PublishedFigure": "report.audit_report",
    "PublishedTERA": "models",
    "QuantileRegression": "attacks",
    "RMIA": "attacks",
    "Relearn": "attacks",
    "SLMIA": "attacks",
    "ScoreEvaluation": "audit.score_evaluation",
    "ScoreFusion": "attacks",
    "Scores": "evaluation",
    "ShadowClassifier": "attacks",
    "ShadowClassifierTree": "attacks",
    "ShadowModels": "attacks",
    "SignalGroup": "signals.base",
    "Signals": "signals.table",
    "SpeakerDesign": "splits",
    "SpeakerLiRA": "attacks",
    "SpeakerRMIA": "attacks",
    "SpeakerSimilarity": "attacks",
    "SpecAugment": "corpora.loading.augmentation",
    "SpeechCommands": "corpora",
    "SpeechDataModule": "splits.data_module",
    "SpeechModel": "models",
    "Split": "splits",
    "SurrogateHeadAttack": "attacks",
    "SyntheticVoices": "corpora",
    "TEDLIUM": "corpora",
    "TERA": "models",
    "TimeMasking": "corpora.loading.augmentation",
    "TokenLoss": "attacks",
    "TwoSources": "corpora",
    "UserStatistics": "attacks",
    "UtilitySettings": "audit.utility.settings",
    "UtteranceDesign": "splits",
    "UtteranceSimilarity": "attacks",
    "VCTK": "corpora",
    "Verdict": "evaluation",
    "VoxCeleb1": "corpora",
    "Wav2Vec2": "models",
    "default_attacks": "attacks",
    "evaluate": "audit.score_evaluation",
}

SUBMODULES = ("attacks", "metrics")  # with functions of arrays; `lightning_mia.attacks.lira` needs no further import

__all__ = sorted([*MODULES, "__version__"])


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("lightning-mia")
    elif name in SUBMODULES:
        value = import_module(f"{__name__}.{name}")
    elif name in MODULES:
        value = getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
