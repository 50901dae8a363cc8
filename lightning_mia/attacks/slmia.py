"""SLMIA-SR: a network on similarities within and between speakers."""

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
AT_ONCE = 2_000_000  # cosines computed together: 16 MB
COLUMNS = [*(f"intra_{i}" for i in range(N_INTRA)), *(f"inter_{i}" for i in range(N_INTER))]
NET = NetSettings(hidden=64, shares=(1.0,))
DEFAULT_FIT = FitSettings(learning_rate=0.01, epochs=100, patience=10, batch_size=128, dropout=0.0)


class SLMIA(Attack):
    """Speaker-level attack of Chen, Zhang and Song.

    Score: logit of a network with 64 ReLUs on 24 features of a speaker's recordings among themselves and 96 of the
    recordings against imposters.

    Imposters are the auxiliary speakers with two or more recordings. The network is fitted on speakers that are IN or
    OUT for shadow models.

    Deviations from the paper: embeddings are mean-pooled hidden states, not those of a speaker recognition model. The
    paper has one shadow model, trained on other speakers than the challenge set, like shadow models trained on a pool;
    shadow models of the challenge set let the network see the challenge speakers under other models. The epoch is
    chosen on left-out pairs of shadow models (on left-out speakers with fewer than three pairs), and the score is the
    mean over these folds. One logit replaces two classes, and the network has a linear part. The paper fits on trained
    and held-back recordings of member speakers together; here, fit and challenge set use the same kind.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
        calibrated: whether features are also compared with those under other shadow models, unlike in the paper.
        fit: settings of the fit.

    Example:
        >>> SLMIA().name, SLMIA(layer=2, calibrated=True).name
        ('slmia', 'slmia_layer2_calibrated')
    """

    base_name = "slmia"
    access = "black-box"
    levels = ("speaker",)
    reference = "Chen, Zhang and Song (2024), section IV"
    least_shadows = 2
    learns = True

    def __init__(
        self,
        layer: int = -1,
        calibrated: bool = False,
        fit: FitSettings = DEFAULT_FIT,
    ) -> None:
        self.layer, self.calibrated, self.fit = layer, calibrated, fit

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The layer unless it is the last, and `calibrated`."""
        return layer_suffix(self.layer), "calibrated" if self.calibrated else ""

    def score(self, evidence: Evidence) -> pd.Series:
        """Compute the logit of every speaker.

        Raises:
            CannotRun: too few shadow models, speakers, imposters, or recordings of a speaker.
        """
        imposters = _imposters(evidence)
        if (fewest := evidence.challenge["unit_id"].value_counts().min()) < 2:
            raise CannotRun(f"it needs two recordings of every speaker, and there is one with {fewest}")

        def read(signals: Signals, recordings: pd.DataFrame) -> pd.DataFrame:
            return self._features(signals, recordings, imposters)

        folds = training_folds(
            shadow_examples(evidence, read),
            calibrated=self.calibrated,
            max_signals=N_INTRA + N_INTER,
            seed=evidence.seed,
        )
        scores = score_by_nets(folds, NET, self.fit, evidence.seed, f"Fitting {self.name}")
        return pd.Series(scores, index=pd.Index(evidence.challenge["unit_id"].unique()), dtype=np.float64)

    def _features(self, signals: Signals, recordings: pd.DataFrame, imposters: pd.DataFrame) -> pd.DataFrame:
        """Compute the 120 features of every recording's speaker."""
        pooled = signals.pooled_layer(self.layer)
        by_imposter = pooled.loc[imposters["id"]].groupby(imposters["speaker"].to_numpy())
        imposter_vectors = [vectors.to_numpy() for _, vectors in by_imposter]
        codes, units = pd.factorize(recordings["unit_id"])
        features = np.empty((len(units), N_INTRA + N_INTER))
        vectors, counts = pooled.loc[recordings["id"]].to_numpy(), np.bincount(codes)
        rows_of = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])  # rows of every unit
        for count in np.unique(counts).tolist():  # speakers with equally many recordings form one array
            same_count = np.flatnonzero(counts == count)
            at_once = max(1, AT_ONCE // (count * (count + len(imposters))))
            for part in np.split(same_count, range(at_once, len(same_count), at_once)):
                own = vectors[np.stack([rows_of[unit] for unit in part])]  # (speakers, recordings, dim)
                features[part] = np.concatenate([intra_features(own), inter_features(own, imposter_vectors)], axis=1)
        return pd.DataFrame(features[codes], index=recordings["id"], columns=COLUMNS)


def _imposters(evidence: Evidence) -> pd.DataFrame:
    """List the imposters' recordings: `id`, `speaker`.

    Imposters are auxiliary speakers with two or more recordings and outside the challenge set.
    """
    auxiliary = evidence.auxiliary[~evidence.auxiliary["speaker"].isin(evidence.challenge["speaker"])]
    imposters = auxiliary[auxiliary.groupby("speaker")["id"].transform("size") >= 2]
    if (number := imposters["speaker"].nunique()) < MIN_IMPOSTERS:
        raise CannotRun(
            f"it needs {MIN_IMPOSTERS} or more auxiliary speakers of at least two recordings, and there are {number}"
        )
    return imposters
