"""Evaluation of scores: results, confidence intervals, p-values, the verdict."""

from lightning_mia.evaluation.blind_verdict import give_blind_verdict
from lightning_mia.evaluation.evaluate import Context, Redraw, estimate, evaluate_blind, evaluate_scores
from lightning_mia.evaluation.results import (
    AttackResult,
    BlindResult,
    Difference,
    EachAsTarget,
    Exposure,
    ExposureGroup,
    LevelVerdict,
    SubsetResult,
    TprAtFpr,
    Verdict,
    VersusSiblings,
)
from lightning_mia.evaluation.scores import Family, Scores
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.evaluation.statistics.roc import Roc, roc_curve
from lightning_mia.evaluation.verdict import give_verdict

__all__ = [
    "AttackResult",
    "BlindResult",
    "Context",
    "Difference",
    "EachAsTarget",
    "EvaluationSettings",
    "Exposure",
    "ExposureGroup",
    "Family",
    "LevelVerdict",
    "Redraw",
    "Roc",
    "Scores",
    "SubsetResult",
    "TprAtFpr",
    "Verdict",
    "VersusSiblings",
    "estimate",
    "evaluate_blind",
    "evaluate_scores",
    "give_blind_verdict",
    "give_verdict",
    "roc_curve",
]
