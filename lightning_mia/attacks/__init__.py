"""Membership attacks: from signals to scores, one attack a file."""

from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.attacks.ctc_loss import CTCLoss
from lightning_mia.attacks.learned_speaker_similarity import LearnedSpeakerSimilarity
from lightning_mia.attacks.learned_utterance_similarity import LearnedUtteranceSimilarity
from lightning_mia.attacks.pretext_loss import PretextLoss
from lightning_mia.attacks.speaker_similarity import SpeakerSimilarity
from lightning_mia.attacks.utterance_similarity import UtteranceSimilarity

__all__ = [
    "Attack",
    "CTCLoss",
    "Evidence",
    "LearnedSpeakerSimilarity",
    "LearnedUtteranceSimilarity",
    "PretextLoss",
    "SpeakerSimilarity",
    "UtteranceSimilarity",
    "default_attacks",
]


def default_attacks() -> list[Attack]:
    """The attacks that run where a config names none, as far as the model can answer them."""
    return [UtteranceSimilarity(), SpeakerSimilarity(), PretextLoss(), CTCLoss()]
