"""Who is IN and who is OUT, for the target and for every shadow model."""

from lightning_mia.split.design import Design
from lightning_mia.split.ready_made_split import ready_made
from lightning_mia.split.speaker_design import SpeakerDesign
from lightning_mia.split.split import ROLES, Level, Part, Split
from lightning_mia.split.utterance_design import UtteranceDesign

__all__ = ["ROLES", "Design", "Level", "Part", "SpeakerDesign", "Split", "UtteranceDesign", "ready_made"]
