"""Membership inference attacks.

Six attacks are also functions of plain arrays: `lira`, `rmia`, `bavaria`, `midpoint`, `attack_r`, `calibrated_loss`.
Each hides the submodule of the same name, which is imported before the function is bound;
`from lightning_mia.attacks.lira import LiRA` is not affected.
"""

from lightning_mia.attacks.attack_r import AttackR, attack_r
from lightning_mia.attacks.base import Attack, Evidence, ShadowModels
from lightning_mia.attacks.bavaria import BaVarIA, bavaria
from lightning_mia.attacks.calibrated_loss import CalibratedLoss, calibrated_loss
from lightning_mia.attacks.encodermi import EncoderMIS, EncoderMIT, EncoderMIV
from lightning_mia.attacks.learned_similarity import LearnedSpeakerSimilarity, LearnedUtteranceSimilarity
from lightning_mia.attacks.lira import LiRA, SpeakerLiRA, lira
from lightning_mia.attacks.loss import CTCLoss, PretextLoss, TokenLoss
from lightning_mia.attacks.midpoint import MidPoint, midpoint
from lightning_mia.attacks.partcrop import PartCrop
from lightning_mia.attacks.quantile_regression import QuantileRegression
from lightning_mia.attacks.relearn import Relearn
from lightning_mia.attacks.rmia import RMIA, SpeakerRMIA, rmia
from lightning_mia.attacks.runner.defaults import default_attacks
from lightning_mia.attacks.score_fusion import ScoreFusion
from lightning_mia.attacks.shadow_classifier import ShadowClassifier, ShadowClassifierTree
from lightning_mia.attacks.similarity import SpeakerSimilarity, UtteranceSimilarity
from lightning_mia.attacks.slmia import SLMIA
from lightning_mia.attacks.surrogate_head import SurrogateHeadAttack
from lightning_mia.attacks.user_statistics import UserStatistics

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
    "MidPoint",
    "PartCrop",
    "PretextLoss",
    "QuantileRegression",
    "Relearn",
    "ScoreFusion",
    "ShadowClassifier",
    "ShadowClassifierTree",
    "ShadowModels",
    "SpeakerLiRA",
    "SpeakerRMIA",
    "SpeakerSimilarity",
    "SurrogateHeadAttack",
    "TokenLoss",
    "UserStatistics",
    "UtteranceSimilarity",
    "attack_r",
    "bavaria",
    "calibrated_loss",
    "default_attacks",
    "lira",
    "midpoint",
    "rmia",
]
