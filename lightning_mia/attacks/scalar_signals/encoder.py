"""What an encoder's answers to waveforms give, as signals to be compared with shadow models.

Which way they move with membership is not known beforehand: under control, frames of training recordings were found to
be more alike where the published attack takes them to be less so.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import CannotRun, layer_suffix
from lightning_mia.attacks.scalar_signals.base import ScalarSignal
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.crop_responses import CropResponses
from lightning_mia.signals.encoder_geometry import EncoderGeometry
from lightning_mia.signals.table import Signals
from lightning_mia.signals.view_consistency import ViewAgreement
from lightning_mia.utilities.errors import InputError

CLOSEST = 1e-6  # a cosine of 1 less this counts as 1: encoders round at about 1e-7


class BlackBoxSignal(ScalarSignal):
    """What the signals here have in common."""

    access = "black-box"
    two_sided = True


class FrameSimilarity(BlackBoxSignal):
    """The mean cosine between the frames of an utterance, Tseng et al. (2022), section 3.2.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
    """

    def __init__(self, layer: int = -1) -> None:
        self.layer = layer

    @property
    def name(self) -> str:
        """`similarity`, with the layer where it is not the last."""
        return "similarity" + layer_suffix(self.layer)

    def read(self, signals: Signals) -> pd.DataFrame:
        """One column."""
        return signals.pairwise_cosine(self.layer).to_frame()


class FrameGeometry(BlackBoxSignal):
    """Statistics of an utterance's frames and of its pooled vector, see `EncoderGeometry`; judged jointly.

    Args:
        statistics: such as `cos_q25`, `norm_mean`, `directions` or `reference_nearest5_cos`; null: all of them.
        layer: as in `FrameSimilarity`; null: all layers.
    """

    def __init__(self, statistics: Sequence[str] | None = None, layer: int | None = -1) -> None:
        self.statistics, self.layer = statistics, layer

    @property
    def name(self) -> str:
        """`geometry`, with the statistics and the layer where they are not all of them and the last."""
        where = "_all_layers" if self.layer is None else layer_suffix(self.layer)
        return "_".join(["geometry", *(self.statistics or ())]) + where

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Geometry."""
        return (EncoderGeometry(),)

    def read(self, signals: Signals) -> pd.DataFrame:
        """One column a statistic and layer.

        Raises:
            CannotRun: there is no such statistic.
        """
        layers = range(signals.n_layers) if self.layer is None else [signals.layer(self.layer)]
        if self.statistics is None:
            endings = tuple(f"_layer{layer}" for layer in layers)
            mine = [name for name in map(str, signals.scalars) if name.startswith("geometry_")]
            return signals.scalars[[name for name in mine if name.endswith(endings)]]
        names = [f"geometry_{statistic}_layer{layer}" for layer in layers for statistic in self.statistics]
        return signals.scalars[[_column(signals, name) for name in names]]


class ViewConsistency(BlackBoxSignal):
    """How alike views of a recording are answered: φ = log(1 + s) − log(1 − s) of their cosine s.

    As an attack on encoders for images does with two augmented views (the likelihood-ratio attack of
    misleading-privacy-evals, ETH Zürich), with its mean over draws.

    Args:
        view: `pairs`, of all pairs of ten mixed views at the last layer; or a kind of view that is compared with the
            recording itself: `noise`, `gain`, `crop`, `shift`, `band` or `reversed`.
        of: `pooled` vectors, or `frames` (not for crops), where it is not `pairs`.
        layer: −1 = the last, or the middle one, where it is not `pairs`.
    """

    def __init__(self, view: str = "pairs", of: Literal["pooled", "frames"] = "pooled", layer: int = -1) -> None:
        kinds = {kind.name: kind for kind in ViewAgreement().kinds}
        if view != "pairs" and view not in kinds:
            raise InputError(f"view of ViewConsistency is {view}: give pairs, {', '.join(kinds)}")
        if of == "frames" and (view == "pairs" or not kinds[view].keeps_time):
            raise InputError(f"ViewConsistency compares pooled vectors where view is {view}, but of is frames")
        self.view, self.of, self.layer = view, of, layer

    @property
    def name(self) -> str:
        """`view_consistency`, with the view, `_frames` and the layer where they are not the usual ones."""
        if self.view == "pairs":
            return "view_consistency"
        frames = "_frames" if self.of == "frames" else ""
        return f"view_consistency_{self.view}{frames}{layer_suffix(self.layer)}"

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Views."""
        return (ViewAgreement(),)

    def read(self, signals: Signals) -> pd.DataFrame:
        """One column.

        Raises:
            CannotRun: the layer is neither the last nor the middle one.
        """
        if self.view == "pairs":
            cosines = signals.scalars.filter(regex=r"^views_pair\d+$")
        else:
            layer = signals.layer(self.layer)
            cosines = signals.scalars[[_column(signals, f"views_{self.view}_{self.of}_layer{layer}")]]
        values = cosines.to_numpy(dtype=np.float64).clip(CLOSEST - 1, 1 - CLOSEST)
        return pd.DataFrame({self.name: (2 * np.arctanh(values)).mean(axis=1)}, index=cosines.index)


class CropResponse(BlackBoxSignal):
    """How sharply the frames respond to crops: the mean divergence of the responses from a reference (PartCrop).

    Args:
        reference: `uniform` or `gaussian`.
    """

    def __init__(self, reference: Literal["uniform", "gaussian"] = "uniform") -> None:
        self.reference = reference

    @property
    def name(self) -> str:
        """`crop_response`, with the reference where it is not uniform."""
        return "crop_response" + ("" if self.reference == "uniform" else f"_{self.reference}")

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Crops."""
        return (CropResponses(),)

    def read(self, signals: Signals) -> pd.DataFrame:
        """One column."""
        divergences = signals.scalars.filter(regex=rf"^crops_{self.reference}_\d+$")
        return divergences.mean(axis=1).to_frame(self.name)


class EveryBlackBoxSignal(BlackBoxSignal):
    """All that the plain waveform, its views and its crops give, at all layers that are looked at; judged jointly.

    Single signals of a tiny model tell little: together they find what the mean cosine alone does not.
    """

    @property
    def name(self) -> str:
        """`black_box`."""
        return "black_box"

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Geometry, views and crops."""
        return EncoderGeometry(), ViewAgreement(), CropResponses()

    def read(self, signals: Signals) -> pd.DataFrame:
        """A column each, but of all pairs of views, which are almost one number, their mean."""
        columns = signals.scalars.filter(regex=r"^(geometry|views|crops)_(?!pair\d)")
        return pd.concat([columns, ViewConsistency().read(signals)], axis=1)


def _column(signals: Signals, name: str) -> str:
    """The name, if there is such a column.

    Raises:
        CannotRun: there is none; the message lists those of the same group at the last layer.
    """
    if name not in signals.scalars:
        ending = f"_layer{signals.n_layers - 1}"
        alike = [one for one in map(str, signals.scalars) if one.startswith(f"{name.split('_')[0]}_")]
        there = [one for one in alike if one.endswith(ending)]
        raise CannotRun(f"it needs the signal {name}, and there are at the last layer: {', '.join(there) or 'none'}")
    return name
