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
from lightning_mia.attacks.quantile_regression import MIN_RECORDINGS as MIN_QUANTILE_RECORDINGS
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
from lightning_mia.attacks.score_fusion import ScoreFusion
from lightning_mia.attacks.shadow_classifier import ShadowClassifier, ShadowClassifierTree
from lightning_mia.attacks.similarity import SpeakerSimilarity, UtteranceSimilarity
from lightning_mia.attacks.slmia import SLMIA
from lightning_mia.attacks.surrogate_head import SurrogateHeadAttack, SurrogateHeadScore
from lightning_mia.attacks.user_statistics import UserStatistics
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.outputs import CTC_SCORE, TOKEN_SCORE
from lightning_mia.signals.relearning import DEFAULT_RELEARNING, MIN_AUXILIARY, MIN_CANDIDATES, ONE_COPY
from lightning_mia.signals.surrogate.targets import AdversarysClusters
from lightning_mia.signals.surrogate_pretext import MIN_RECORDINGS, SurrogateHead

AttackSet = Literal["recommended", "all"]

RECONSTRUCTING = ("tera",)
"""Families that reconstruct frames: a head for spectra shows much of their members, on others little."""
MANY_AUXILIARY = 50
"""Auxiliary recordings with which every attack on a checkpoint can run."""


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


def checkpoint_attacks(
    model: SpeechModel, n_auxiliary: int, n_references: int = 0, n_recordings: int = MIN_CANDIDATES
) -> list[Attack]:
    """List the attacks that can find something on a checkpoint from elsewhere.

    What they find was measured (docs/results.md): where the score of the training task is known, surrogate heads add
    nothing to it, and where it is not, they are all there is besides the similarity. Relearning trains one copy of a
    large model, two of any other.

    Args:
        model: the checkpoint.
        n_auxiliary: auxiliary recordings, on which heads, quantiles and learning rates are fitted.
        n_references: reference models.
        n_recordings: recordings whose membership is in question.

    >>> from lightning_mia.models import TERA
    >>> [attack.name for attack in checkpoint_attacks(TERA(), n_auxiliary=0)]
    ['utterance_similarity', 'speaker_similarity', 'pretext_loss']
    """
    signals = _checkpoint_signals(model, n_auxiliary, n_references)
    attacks: list[Attack] = [UtteranceSimilarity(), SpeakerSimilarity()]
    for signal in signals:
        attacks.append(_alone(signal))
        calibrates = not isinstance(signal, SurrogateHeadScore) or model.family in RECONSTRUCTING
        if calibrates and n_auxiliary >= MIN_QUANTILE_RECORDINGS:
            attacks.append(QuantileRegression(signal))
        attacks += _against_references(signal, n_references)
    knows_rate = n_auxiliary >= MIN_AUXILIARY or bool(model.origin.get("training"))
    if DEFAULT_RELEARNING.supports(model) and knows_rate and n_recordings >= MIN_CANDIDATES:
        relearn = Relearn(ONE_COPY if model.is_large else DEFAULT_RELEARNING)
        attacks.append(relearn)
        if n_references and signals and not isinstance(signals[0], SurrogateHeadScore):
            attacks.append(ScoreFusion([relearn, CalibratedLoss(signals[0])]))
    return attacks


def lacking_auxiliary(model: SpeechModel, n_auxiliary: int, n_references: int = 0) -> list[Attack]:
    """List the attacks on a checkpoint that only more auxiliary recordings would add.

    >>> from lightning_mia.models import TERA
    >>> [attack.name for attack in lacking_auxiliary(TERA(), n_auxiliary=0)]
    ['quantile_regression', 'relearn']
    """
    present = {attack.name for attack in checkpoint_attacks(model, n_auxiliary, n_references)}
    possible = checkpoint_attacks(model, max(n_auxiliary, MANY_AUXILIARY), n_references)
    return [attack for attack in possible if attack.name not in present]


def _checkpoint_signals(model: SpeechModel, n_auxiliary: int, n_references: int) -> list[ScalarSignal]:
    """List the signals of a checkpoint: that of its training task, or of surrogate heads."""
    if model.uses_transcripts:
        return [TaskScore(model.task_score)]
    if model.has_pretext:
        return [PretextScore()]
    if n_auxiliary < MIN_RECORDINGS:
        return []
    heads = {"": SurrogateHead(), "open": SurrogateHead(filling=None)}
    if n_references and model.family not in RECONSTRUCTING:
        heads["open_clusters"] = SurrogateHead(filling=None, target=AdversarysClusters())
    return [SurrogateHeadScore(head, suffix) for suffix, head in heads.items() if head.supports(model)]


def _alone(signal: ScalarSignal) -> Attack:
    """Return the attack that scores by a signal of the target alone."""
    if isinstance(signal, SurrogateHeadScore):
        return SurrogateHeadAttack(signal.head, signal.suffix)
    return {CTC_SCORE: CTCLoss, TOKEN_SCORE: TokenLoss}.get(signal.needs_signal, PretextLoss)()


def _against_references(signal: ScalarSignal, n_references: int) -> list[Attack]:
    """List the attacks that compare a signal with that of models OUT for every unit."""
    few: list[Attack] = [CalibratedLoss(signal), RMIA(signal, online=False), SpeakerRMIA(signal, online=False)]
    more: list[Attack] = [LiRA(signal, online=False), SpeakerLiRA(signal, online=False), BaVarIA(signal, online=False)]
    return few * (n_references > 0) + more * (n_references > 1)


def _recommended() -> list[Attack]:
    """List those with shadow models that were strongest over all shadow models as targets.

    See the tables of docs/results.md.
    """
    spectra, clusters = SurrogateHead(), SurrogateHead(target=AdversarysClusters())
    heads = SurrogateHeadScore(spectra), SurrogateHeadScore(clusters, "clusters")
    return [
        ScoreFusion(),
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
    likelihoods = [LiRA(signal), BaVarIA(signal), MidPoint(signal), SpeakerLiRA(signal)]
    return [ScoreFusion(), *likelihoods, ShadowClassifier("white-box")]


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
