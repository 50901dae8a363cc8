"""Membership splits: members and non-members of every model."""

from lightning_mia.splits.base import Design
from lightning_mia.splits.predefined_split import predefined
from lightning_mia.splits.speaker_split import SpeakerDesign
from lightning_mia.splits.split import ROLES, Level, Part, Split, question_name
from lightning_mia.splits.utterance_split import UtteranceDesign

__all__ = [
    "ROLES",
    "Design",
    "Level",
    "Part",
    "SpeakerDesign",
    "Split",
    "UtteranceDesign",
    "predefined",
    "question_name",
]
