"""Default attacks of an audit."""

from typing import Literal

from lightning_mia.attacks.attack_r import AttackR
from lightning_mia.attacks.base import Attack
from lightning_mia.attacks.bavaria import BaVarIA
from lightning_mia.attacks.calibrated_loss import CalibratedLoss
from lightning_mia.attacks.encodermi import EncoderMIS, EncoderMIT, EncoderMIV
from lightning_mia.attacks.lira import LiRA, SpeakerLiRA
from lightning_mia.attacks.loss import CTCLoss, PretextLoss, TokenLoss
from lightning_mia.attacks.midpoint import MidPoint
from lightning_mia.attacks.partcrop import PartCrop
from lightning_mia.attacks.quantile_regression import QuantileRegression
from lightning_mia.attacks.relearn import Relearn
from lightning_mia.attacks.rmia import RMIA, SpeakerRMIA
from lightning_mia.attacks.scalar_signals.base import JointSignal, PretextScore, ScalarSignal
from lightning_mia.attacks.scalar_signals.hidden_states import (
    CropResponse,
    EveryBlackBoxSignal,
    FrameSimilarity,
    ViewConsistency,
)
from lightning_mia.attacks.scalar_signals.neighbours import NearestNeighbours
from lightning_mia.attacks.scalar_signals.pretext import PerturbedLoss, PretextDetail, RelearnScore, TaskScore
from lightning_mia.attacks.shadow_classifier import ShadowClassifier, ShadowClassifierTree
from lightning_mia.attacks.similarity import SpeakerSimilarity, UtteranceSimilarity
from lightning_mia.attacks.slmia import SLMIA
from lightning_mia.attacks.surrogate_head import SurrogateHeadAttack, SurrogateHeadScore
from lightning_mia.attacks.user_statistics import UserStatistics
from lightning_mia.models.outputs import CTC_SCORE, TOKEN_SCORE
from lightning_mia.signals.surrogate.targets import AdversarysClusters
from lightning_mia.signals.surrogate_pretext import SurrogateHead

AttackSet = Literal["recommended", "all"]


def default_attacks(n_shadows: int = 0, attack_set: AttackSet = "recommended") -> list[Attack]:
    """List the attacks of a config that names none.

    Those that the model does not support are skipped.

    Args:
        n_shadows: number of shadow models; with 0, only attacks that need no shadow models and few queries.
        attack_set: "recommended", the strongest for each level and access; or "all".

    >>> [attack.name for attack in default_attacks()]
    ['utterance_similarity', 'speaker_similarity', 'pretext_loss', 'ctc_loss', 'token_loss', 'relearn']
    """
    without_shadows = [UtteranceSimilarity(), SpeakerSimilarity(), PretextLoss(), CTCLoss(), TokenLoss(), Relearn()]
    if not n_shadows:
        return without_shadows
    if attack_set == "recommended":
        return [*without_shadows, *_recommended(), *_on_transcripts()]
    return [*without_shadows, *_white_box(), *_grey_box(), *_on_transcripts(), *_open_weights(), *_black_box()]


def _recommended() -> list[Attack]:
    """List those with shadow models that were strongest over all shadow models as targets.

    See the tables of docs/results.md.
    """
    spectra, clusters = SurrogateHead(), SurrogateHead(target=AdversarysClusters())
    heads = SurrogateHeadScore(spectra), SurrogateHeadScore(clusters, "clusters")
    return [
        BaVarIA(RelearnScore()),
        MidPoint(PretextScore()),
        BaVarIA(PretextScore()),
        ShadowClassifierTree("grey-box"),
        ShadowClassifier("open-weights"),
        BaVarIA(JointSignal([*heads, EveryBlackBoxSignal()], "all_black_box")),
        ShadowClassifier("black-box"),
    ]


def _white_box() -> list[Attack]:
    """List attacks on relearning.

    RMIA and quantile regression would need copies that were trained on the auxiliary recordings as well.
    """
    signal = RelearnScore()
    return [LiRA(signal), BaVarIA(signal), MidPoint(signal), SpeakerLiRA(signal), ShadowClassifier("white-box")]


def _grey_box() -> list[Attack]:
    return [
        *_likelihoods(PretextScore()),
        LiRA(PretextScore(), online=False),
        RMIA(PretextScore(), online=False),
        BaVarIA(PretextScore(), online=False),
        MidPoint(PretextScore()),
        AttackR(PretextScore()),
        CalibratedLoss(PretextScore()),
        QuantileRegression(PretextScore()),
        LiRA(PretextDetail("parts")),
        LiRA(PretextDetail("spans")),
        LiRA(PerturbedLoss()),
        ShadowClassifier("grey-box"),
        ShadowClassifierTree("grey-box"),
        UserStatistics("grey-box"),
    ]


def _on_transcripts() -> list[Attack]:
    """List the attacks on a recogniser's loss, which take the place of those on the pretext loss."""
    scores = TaskScore(CTC_SCORE), TaskScore(TOKEN_SCORE)
    return [attack for score in scores for attack in (MidPoint(score), BaVarIA(score))]


def _open_weights() -> list[Attack]:
    spectra, clusters = SurrogateHead(filling=None), SurrogateHead(filling=None, target=AdversarysClusters())
    return [
        *_surrogate_heads(spectra, clusters, "open_"),
        ShadowClassifier("open-weights"),
    ]


def _black_box() -> list[Attack]:
    spectra, clusters = SurrogateHead(), SurrogateHead(target=AdversarysClusters())
    heads = SurrogateHeadScore(spectra), SurrogateHeadScore(clusters, "clusters")
    return [
        *_surrogate_heads(spectra, clusters),
        BaVarIA(EveryBlackBoxSignal()),
        BaVarIA(JointSignal([*heads, EveryBlackBoxSignal()], "all_black_box")),
        LiRA(FrameSimilarity()),
        LiRA(ViewConsistency()),
        LiRA(CropResponse()),
        LiRA(NearestNeighbours()),
        QuantileRegression(heads[0]),
        EncoderMIT(),
        EncoderMIV(),
        EncoderMIS(),
        PartCrop(),
        ShadowClassifier("black-box"),
        ShadowClassifierTree("black-box"),
        SLMIA(),
        UserStatistics("black-box"),
    ]


def _surrogate_heads(spectra: SurrogateHead, clusters: SurrogateHead, prefix: str = "") -> list[Attack]:
    """List attacks with heads that predict spectra or clusters.

    Spectra suit encoders that reconstruct frames, clusters those trained like HuBERT.
    """
    suffix = f"{prefix}clusters"
    return [
        SurrogateHeadAttack(spectra),
        *_likelihoods(SurrogateHeadScore(spectra)),
        LiRA(SurrogateHeadScore(spectra), online=False),
        SurrogateHeadAttack(clusters, suffix),
        *_likelihoods(SurrogateHeadScore(clusters, suffix)),
        LiRA(SurrogateHeadScore(clusters, suffix), online=False),
    ]


def _likelihoods(signal: ScalarSignal) -> list[Attack]:
    """List likelihood attacks at utterance and speaker level."""
    return [LiRA(signal), RMIA(signal), BaVarIA(signal), SpeakerLiRA(signal), SpeakerRMIA(signal)]
