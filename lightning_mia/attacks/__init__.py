"""Membership attacks: from signals to scores, one attack a file."""

from lightning_mia.attacks.attack_r import AttackR
from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.attacks.bavaria import BaVarIA
from lightning_mia.attacks.calibrated_loss import CalibratedLoss
from lightning_mia.attacks.ctc_loss import CTCLoss
from lightning_mia.attacks.defaults import default_attacks
from lightning_mia.attacks.encodermi import EncoderMIS, EncoderMIT, EncoderMIV
from lightning_mia.attacks.learned_speaker_similarity import LearnedSpeakerSimilarity
from lightning_mia.attacks.learned_utterance_similarity import LearnedUtteranceSimilarity
from lightning_mia.attacks.lira import LiRA
from lightning_mia.attacks.partcrop import PartCrop
from lightning_mia.attacks.pretext_loss import PretextLoss
from lightning_mia.attacks.quantile_regression import QuantileRegression
from lightning_mia.attacks.rmia import RMIA
from lightning_mia.attacks.shadow_classifier import ShadowClassifier, ShadowClassifierTree
from lightning_mia.attacks.shadows import Shadows
from lightning_mia.attacks.slmia import SLMIA
from lightning_mia.attacks.speaker_lira import SpeakerLiRA
from lightning_mia.attacks.speaker_rmia import SpeakerRMIA
from lightning_mia.attacks.speaker_similarity import SpeakerSimilarity
from lightning_mia.attacks.surrogate_head import SurrogateHeadAttack
from lightning_mia.attacks.user_statistics import UserStatistics
from lightning_mia.attacks.utterance_similarity import UtteranceSimilarity

__all__ = [
    "RMIA",
    "SLMIA",
    "Attack",
    "AttackR",
    "BaVarIA",
    "CTCLoss",
    "CalibratedLoss",
    "EncoderMIS",
    "EncoderMIT",
    "EncoderMIV",
    "Evidence",
    "LearnedSpeakerSimilarity",
    "LearnedUtteranceSimilarity",
    "LiRA",
    "PartCrop",
    "PretextLoss",
    "QuantileRegression",
    "ShadowClassifier",
    "ShadowClassifierTree",
    "Shadows",
    "SpeakerLiRA",
    "SpeakerRMIA",
    "SpeakerSimilarity",
    "SurrogateHeadAttack",
    "UserStatistics",
    "UtteranceSimilarity",
    "default_attacks",
]
