"""SLMIA-SR: how a speaker's recordings lie to each other and to those of imposters, learned on shadow models."""

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Attack, CannotRun, Evidence, layer_suffix
from lightning_mia.attacks.classifiers.examples import shadow_examples
from lightning_mia.attacks.classifiers.fit import FitSettings
from lightning_mia.attacks.classifiers.folds import training_folds
from lightning_mia.attacks.classifiers.mlp import NetSettings, score_by_nets
from lightning_mia.attacks.classifiers.speaker_features import N_INTER, N_INTRA, inter_features, intra_features
from lightning_mia.signals.table import Signals

MIN_IMPOSTERS = 3
AT_ONCE = 2_000_000  # cosines that are calculated at one go: 16 MB
MAX_EXAMPLES = 40_000
COLUMNS = [*(f"intra_{i}" for i in range(N_INTRA)), *(f"inter_{i}" for i in range(N_INTER))]
NET = NetSettings(hidden=64, shares=(1.0,))


class SLMIA(Attack):
    """24 features of a speaker's recordings among themselves and 96 against imposters, by a net with 64 ReLUs.

    The imposters are the auxiliary speakers with two or more recordings. The net learns from the speakers of the
    challenge set under shadow models, each IN or OUT.

    Different from the paper: its embeddings come from a speaker recognition model, these are mean-pooled hidden states.
    It has one shadow model, of other speakers than those that are judged, as a fleet that was trained on a pool; with
    shadow models of the challenge set the net has seen the judged speakers under other models. The epoch is chosen by
    pairs of shadow models that are left out (with fewer than three pairs, by speakers), and the score is the mean over
    these. One logit stands for two classes, and the net has a linear part. The paper learns from trained and held-back
    recordings of member speakers alike: what is asked about is of one kind here, and so is what is learned from.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
        calibrated: whether the features are compared with those of other shadow models too, which the paper does not.
        fit: how the nets are fitted.
    """

    access = "black-box"
    levels = ("speaker",)
    reference = "Chen, Zhang and Song (2024), section IV"
    least_shadows = 2
    learns = True

    def __init__(
        self,
        layer: int = -1,
        calibrated: bool = False,
        fit: FitSettings = FitSettings(learning_rate=0.01, epochs=100, patience=10, batch_size=128, dropout=0.0),
    ) -> None:
        self.layer, self.calibrated, self.fit = layer, calibrated, fit

    @property
    def name(self) -> str:
        """`slmia`, with the layer where it is not the last, and `_calibrated`."""
        return "slmia" + layer_suffix(self.layer) + ("_calibrated" if self.calibrated else "")

    def score(self, evidence: Evidence) -> pd.Series:
        """Log-odds of every speaker.

        Raises:
            CannotRun: too few shadow models, speakers, imposters, or recordings of a speaker.
        """
        imposters = _imposters(evidence)
        if (alone := evidence.challenge["unit_id"].value_counts().min()) < 2:
            raise CannotRun(f"it needs two recordings of every speaker, and there is one with {alone}")

        def read(signals: Signals, recordings: pd.DataFrame) -> pd.DataFrame:
            return self._features(signals, recordings, imposters)

        folds = training_folds(
            shadow_examples(evidence, read),
            calibrated=self.calibrated,
            most_signals=N_INTRA + N_INTER,
            most_examples=MAX_EXAMPLES,
            seed=evidence.seed,
        )
        scores = score_by_nets(folds, NET, self.fit, evidence.seed, f"Fitting {self.name}")
        return pd.Series(scores, index=pd.Index(evidence.challenge["unit_id"].unique()), dtype=np.float64)

    def _features(self, signals: Signals, recordings: pd.DataFrame, imposters: pd.DataFrame) -> pd.DataFrame:
        """The 120 features of every recording's unit."""
        pooled = signals.pooled_layer(self.layer)
        of_imposters = [
            own.to_numpy() for _, own in pooled.loc[imposters["id"]].groupby(imposters["speaker"].to_numpy())
        ]
        place, units = pd.factorize(recordings["unit_id"])
        found = np.empty((len(units), N_INTRA + N_INTER))
        vectors, counts = pooled.loc[recordings["id"]].to_numpy(), np.bincount(place)
        order = np.split(np.argsort(place, kind="stable"), np.cumsum(counts)[:-1])  # rows of every unit
        for count in np.unique(counts).tolist():
            alike = np.flatnonzero(counts == count)
            at_once = max(1, AT_ONCE // (count * (count + len(imposters))))
            for part in np.split(alike, range(at_once, len(alike), at_once)):
                own = vectors[np.stack([order[unit] for unit in part])]  # (speakers, recordings, dim)
                found[part] = np.concatenate([intra_features(own), inter_features(own, of_imposters)], axis=1)
        return pd.DataFrame(found[place], index=recordings["id"], columns=COLUMNS)


def _imposters(evidence: Evidence) -> pd.DataFrame:
    """Recordings of auxiliary speakers who are not judged and have two or more: `id`, `speaker`."""
    auxiliary = evidence.auxiliary[~evidence.auxiliary["speaker"].isin(evidence.challenge["speaker"])]
    found = auxiliary[auxiliary.groupby("speaker")["id"].transform("size") >= 2]
    if (number := found["speaker"].nunique()) < MIN_IMPOSTERS:
        raise CannotRun(
            f"it needs {MIN_IMPOSTERS} or more auxiliary speakers of at least two recordings, and there are {number}"
        )
    return found
