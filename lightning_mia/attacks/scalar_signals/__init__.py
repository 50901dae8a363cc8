"""Scalar signals that attacks compare with shadow models."""

from lightning_mia.attacks.scalar_signals.base import JointSignal, PretextScore, ScalarSignal
from lightning_mia.attacks.scalar_signals.hidden_states import (
    CropResponse,
    EveryBlackBoxSignal,
    FrameGeometry,
    FrameSimilarity,
    ViewConsistency,
)
from lightning_mia.attacks.scalar_signals.neighbours import NearestNeighbours
from lightning_mia.attacks.scalar_signals.pretext import (
    MaskByMask,
    PerturbedLoss,
    PretextDetail,
    RelearnScore,
    TaskScore,
)

__all__ = [
    "CropResponse",
    "EveryBlackBoxSignal",
    "FrameGeometry",
    "FrameSimilarity",
    "JointSignal",
    "MaskByMask",
    "NearestNeighbours",
    "PerturbedLoss",
    "PretextDetail",
    "PretextScore",
    "RelearnScore",
    "ScalarSignal",
    "TaskScore",
    "ViewConsistency",
]
