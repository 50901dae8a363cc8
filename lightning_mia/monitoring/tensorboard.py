"""What TensorBoard shows of a training's leakage."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lightning_mia.models.base import PRETEXT_SCORE
from lightning_mia.monitoring.challenge_set import ChallengeSet
from lightning_mia.monitoring.leakage import Leakage
from lightning_mia.probe.signals import Signals
from lightning_mia.report.figures import MOST_CURVES, Curve, histogram_figure, log_roc_figure, roc_figure

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

COMPARED = ("/auroc", "/gap", "/pretext_loss")
"""How the names of those figures end by which trainings are compared."""


def scalars(leakages: Sequence[Leakage], signals: Signals, challenge: ChallengeSet) -> Iterator[tuple[str, float]]:
    """Yield (tag, value) of every figure of a measurement.

    These are `leakage/pretext_loss/auroc` and so on of each attack, and `held_out/pretext_loss`, the mean loss (as
    negative log-odds) of the recordings that are not trained on: what a defence costs.
    """
    for one in leakages:
        low, high = one.interval
        yield f"leakage/{one.name}/auroc", one.auroc
        yield f"leakage/{one.name}/auroc_ci95_low", low
        yield f"leakage/{one.name}/auroc_ci95_high", high
        yield f"leakage/{one.name}/gap", one.gap
        yield f"leakage/{one.name}/members_mean", one.members_mean
        yield f"leakage/{one.name}/others_mean", one.others_mean
    if signals.has(PRETEXT_SCORE):
        judged = challenge.judged
        yield "held_out/pretext_loss", -float(signals.pretext_score().loc[judged["id"][~judged["member"]]].mean())


def draw_measurement(writer: "SummaryWriter", leakages: Sequence[Leakage], step: int) -> None:
    """Write the ROC curves (both kinds of axes), and of each attack the scores as a figure and as histograms."""
    curves = [Curve(one.name, one.scores) for one in leakages[:MOST_CURVES]]
    writer.add_figure("leakage/roc", roc_figure(curves, None), step)
    writer.add_figure("leakage/roc_log", log_roc_figure(curves, None), step)
    for one in leakages:
        members = one.scores.members
        writer.add_figure(f"leakage/{one.name}/scores", histogram_figure(one.scores), step)
        writer.add_histogram(f"leakage/{one.name}/members", one.scores.values[members], step)
        writer.add_histogram(f"leakage/{one.name}/others", one.scores.values[~members], step)
