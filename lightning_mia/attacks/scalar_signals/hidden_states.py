"""Signals from encoder outputs (black-box).

They are two-sided: on models trained under controlled conditions, the frames of members are often more similar, whereas
the published attack assumes that they are less similar.
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
from lightning_mia.utilities.ranges import Layer, check_ranges

MIN_DISTANCE = 1e-6  # cosines are clipped to ±(1 − this); encoders round at about 1e-7


class BlackBoxSignal(ScalarSignal):
    """Base class of signals from encoder outputs."""

    access = "black-box"
    two_sided = True


class FrameSimilarity(BlackBoxSignal):
    """Mean cosine between the frames of an utterance.

    Tseng et al. (2022), section 3.2.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.

    Example:
        >>> table = pd.DataFrame({"pairwise_cosine_layer0": [0.5]}, index=["a"])
        >>> FrameSimilarity().read(Signals(table, np.zeros((1, 1, 4)))).loc["a"].item()
        0.5
    """

    base_name = "similarity"

    def __init__(self, layer: Layer = -1) -> None:
        self.layer = layer
        check_ranges(FrameSimilarity.__init__, vars(self), f"{type(self).__name__}.")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The layer unless it is the last."""
        return (layer_suffix(self.layer),)

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return one column."""
        return signals.pairwise_cosine(self.layer).to_frame()


class FrameGeometry(BlackBoxSignal):
    """Statistics of an utterance's frames and pooled vector (`EncoderGeometry`), jointly.

    Args:
        statistics: such as `cos_q25`, `norm_mean`, `directions` or `reference_nearest5_cos`; null: all.
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last; null: all.

    Example:
        >>> FrameGeometry(["cos_q25"], layer=None).name
        'geometry_cos_q25_all_layers'
    """

    base_name = "geometry"

    def __init__(self, statistics: Sequence[str] | None = None, layer: Layer | None = -1) -> None:
        self.statistics, self.layer = statistics, layer
        check_ranges(FrameGeometry.__init__, vars(self), f"{type(self).__name__}.")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Statistics unless all, and the layer unless the last."""
        return *(self.statistics or ()), "all_layers" if self.layer is None else layer_suffix(self.layer)

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The statistics of frames."""
        return (EncoderGeometry(),)

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return one column per statistic and layer.

        Raises:
            CannotRun: no such statistic.
        """
        layers = range(signals.n_layers) if self.layer is None else [signals.layer(self.layer)]
        if self.statistics is None:
            endings = tuple(f"_layer{layer}" for layer in layers)
            columns = [name for name in map(str, signals.scalars) if name.startswith("geometry_")]
            return signals.scalars[[name for name in columns if name.endswith(endings)]]
        names = [f"geometry_{statistic}_layer{layer}" for layer in layers for statistic in self.statistics]
        return signals.scalars[[_column(signals, name) for name in names]]


class ViewConsistency(BlackBoxSignal):
    """Similarity of views of a recording.

    φ = log(1 + s) − log(1 − s), with the cosine s of two views; averaged over pairs of views.

    Follows the likelihood ratio attack on image encoders with two augmented views (misleading-privacy-evals, ETH
    Zürich), including its mean over draws.

    Args:
        view: `pairs`, all pairs of ten mixed views at the last layer; or a view to compare with the recording itself:
            `noise`, `gain`, `crop`, `shift`, `band` or `reversed`.
        of: `pooled` vectors, or `frames` (not if view is `pairs` or `crop`).
        layer: hidden layer, −1 = the last, or the number of the middle one; not used if view is `pairs`.

    Example:
        >>> table = pd.DataFrame({"views_pair00": [0.0], "views_pair01": [0.5]}, index=["a"])
        >>> ViewConsistency().read(Signals(table, np.zeros((1, 1, 4)))).round(2).loc["a"].item()
        0.55
    """

    base_name = "view_consistency"

    def __init__(self, view: str = "pairs", of: Literal["pooled", "frames"] = "pooled", layer: Layer = -1) -> None:
        kinds = {kind.name: kind for kind in ViewAgreement().kinds}
        if view != "pairs" and view not in kinds:
            raise InputError(f"view of ViewConsistency is {view}: give pairs, {', '.join(kinds)}")
        if of == "frames" and (view == "pairs" or not kinds[view].keeps_time):
            raise InputError(f"ViewConsistency compares only pooled vectors if view is {view}, but of is frames")
        self.view, self.of, self.layer = view, of, layer
        check_ranges(ViewConsistency.__init__, vars(self), f"{type(self).__name__}.")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """View, `frames` and layer unless default."""
        if self.view == "pairs":
            return ()
        return self.view, "frames" if self.of == "frames" else "", layer_suffix(self.layer)

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The similarities of views."""
        return (ViewAgreement(),)

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return one column.

        Raises:
            CannotRun: a layer other than the last and the middle one.
        """
        if self.view == "pairs":
            cosines = signals.scalars.filter(regex=r"^views_pair\d+$")
        else:
            layer = signals.layer(self.layer)
            cosines = signals.scalars[[_column(signals, f"views_{self.view}_{self.of}_layer{layer}")]]
        values = cosines.to_numpy(dtype=np.float64).clip(MIN_DISTANCE - 1, 1 - MIN_DISTANCE)
        return pd.DataFrame({self.name: (2 * np.arctanh(values)).mean(axis=1)}, index=cosines.index)


class CropResponse(BlackBoxSignal):
    """Mean divergence of responses to crops (PartCrop).

    The mean of KL(reference ‖ response) over the quantiles kept by `CropResponses`.

    Args:
        reference: reference distribution, `uniform` or `gaussian`.

    Example:
        >>> table = pd.DataFrame({"crops_uniform_00": [1.0], "crops_uniform_01": [2.0]}, index=["a"])
        >>> CropResponse().read(Signals(table, np.zeros((1, 1, 4)))).loc["a"].item()
        1.5
    """

    base_name = "crop_response"

    def __init__(self, reference: Literal["uniform", "gaussian"] = "uniform") -> None:
        self.reference = reference

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The reference unless it is uniform."""
        return ("" if self.reference == "uniform" else self.reference,)

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The responses to crops."""
        return (CropResponses(),)

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return one column."""
        divergences = signals.scalars.filter(regex=rf"^crops_{self.reference}_\d+$")
        return divergences.mean(axis=1).to_frame(self.name)


class EveryBlackBoxSignal(BlackBoxSignal):
    """Signals of geometry, views and crops, jointly.

    They are read at all probed layers. Surrogate heads are not included.

    On a tiny model, single signals are weak; combined, they reveal membership that the mean cosine alone misses.

    Example:
        >>> EveryBlackBoxSignal().name, len(EveryBlackBoxSignal().groups)
        ('black_box', 3)
    """

    base_name = "black_box"

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Geometry, views and crops."""
        return EncoderGeometry(), ViewAgreement(), CropResponses()

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return one column per signal.

        The cosines of all pairs of views, which are nearly redundant, are averaged.
        """
        columns = signals.scalars.filter(regex=r"^(geometry|views|crops)_(?!pair\d)")
        return pd.concat([columns, ViewConsistency().read(signals)], axis=1)


def _column(signals: Signals, name: str) -> str:
    """Check that a column exists.

    Raises:
        CannotRun: no such column; the message lists those of the same group at the last layer.
    """
    if name not in signals.scalars:
        prefix, ending = f"{name.split('_')[0]}_", f"_layer{signals.n_layers - 1}"
        available = [column for column in map(str, signals.scalars) if column.startswith(prefix)]
        at_last = ", ".join(column for column in available if column.endswith(ending))
        raise CannotRun(f"it needs the signal {name}, and the last layer has {at_last or 'none of its kind'}")
    return name
