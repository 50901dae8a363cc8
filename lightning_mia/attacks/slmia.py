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
from lightning_mia.utilities.ranges import Layer, check_ranges

MIN_IMPOSTERS = 3
MAX_COSINES_AT_ONCE = 2_000_000  # 16 MB
COLUMNS = [*(f"intra_{i}" for i in range(N_INTRA)), *(f"inter_{i}" for i in range(N_INTER))]
NET_SETTINGS = NetSettings(hidden=64, shares=(1.0,))
DEFAULT_FIT = FitSettings(learning_rate=0.01, epochs=100, patience=10, batch_size=128, dropout=0.0)


class SLMIA(Attack):
    """Speaker-level attack of Chen, Zhang and Song.

    Score: logit of a network with 64 ReLUs on 24 statistics of the cosines between a speaker's recordings and 96 of the
    distances 1 − cos between these recordings and those of imposters (`classifiers.speaker_features`).

    Imposters are the auxiliary speakers with two or more recordings. The network is fitted on speakers that are IN or
    OUT for shadow models.

    Deviations from the paper: embeddings are mean-pooled hidden states, not those of a speaker recognition model. The
    paper has one shadow model, trained on other speakers than the challenge set, like shadow models trained on a pool;
    shadow models of the challenge set let the network see the challenge speakers under other models. The epoch is
    chosen on left-out pairs of shadow models (with fewer than three pairs, on left-out speakers), and the score is the
    mean over these folds. One logit replaces two classes, and the network has a linear part. The paper fits on trained
    and held-back recordings of member speakers together; here the fit uses only the kind that the challenge set has.

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
    min_shadows = 2
    cache_scores = True

    def __init__(
        self,
        layer: Layer = -1,
        calibrated: bool = False,
        fit: FitSettings = DEFAULT_FIT,
    ) -> None:
        self.layer, self.calibrated, self.fit = layer, calibrated, fit
        check_ranges(SLMIA.__init__, vars(self), f"{type(self).__name__}.")

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
        if (evidence.challenge["unit_id"].value_counts() < 2).any():
            raise CannotRun("it needs two recordings of every speaker, and some speaker has only one")

        def read(signals: Signals, recordings: pd.DataFrame) -> pd.DataFrame:
            return self._features(signals, recordings, imposters)

        folds = training_folds(
            shadow_examples(evidence, read),
            calibrated=self.calibrated,
            max_signals=N_INTRA + N_INTER,
            seed=evidence.seed,
        )
        scores = score_by_nets(folds, NET_SETTINGS, self.fit, evidence.seed, f"Fitting {self.name}")
        return pd.Series(scores, index=pd.Index(evidence.challenge["unit_id"].unique()), dtype=np.float64)

    def _features(self, signals: Signals, recordings: pd.DataFrame, imposters: pd.DataFrame) -> pd.DataFrame:
        """Compute the 120 features of every recording's speaker."""
        pooled = signals.pooled_layer(self.layer)
        by_imposter = pooled.loc[imposters["id"]].groupby(imposters["speaker"].to_numpy())
        imposter_vectors = [vectors.to_numpy() for _, vectors in by_imposter]
        vectors = pooled.loc[recordings["id"]].to_numpy()
        codes, _ = pd.factorize(recordings["unit_id"])  # speaker of each row
        counts = np.bincount(codes)
        rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])  # rows of each speaker
        features = np.empty((len(counts), N_INTRA + N_INTER))
        for count in np.unique(counts).tolist():  # speakers with equally many recordings form one array
            speakers = np.flatnonzero(counts == count)
            batch_size = max(1, MAX_COSINES_AT_ONCE // (count * (count + len(imposters))))
            for batch in np.split(speakers, range(batch_size, len(speakers), batch_size)):
                own = vectors[np.stack([rows[speaker] for speaker in batch])]  # (speakers, recordings, dim)
                features[batch] = np.concatenate([intra_features(own), inter_features(own, imposter_vectors)], axis=1)
        return pd.DataFrame(features[codes], index=recordings["id"], columns=COLUMNS)


def _imposters(evidence: Evidence) -> pd.DataFrame:
    """List the imposters' recordings: `id`, `speaker`.

    Imposters are auxiliary speakers outside the challenge set with two or more recordings.
    """
    auxiliary = evidence.auxiliary[~evidence.auxiliary["speaker"].isin(evidence.challenge["speaker"])]
    imposters = auxiliary[auxiliary.groupby("speaker")["id"].transform("size") >= 2]
    if (n_imposters := imposters["speaker"].nunique()) < MIN_IMPOSTERS:
        raise CannotRun(
            f"it needs {MIN_IMPOSTERS} or more auxiliary speakers with at least two recordings each, and there are "
            f"{n_imposters}"
        )
    return imposters
