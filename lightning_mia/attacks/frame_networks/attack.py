"""Base class of attacks fitted on pseudo-labelled auxiliary recordings."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import torch

from lightning_mia.attacks.base import Attack, CannotRun, Evidence, layer_suffix
from lightning_mia.attacks.classifiers.fit import FitSettings, fit_net, preserved_randomness
from lightning_mia.attacks.frame_networks.batches import Example, FrameSource, LabelledBatches
from lightning_mia.attacks.frame_networks.network import SimilarityNet
from lightning_mia.utilities.ranges import Count, Layer, check_ranges


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels of disjoint training and validation units.

    Attributes:
        training: index = unit, float64, 1 = "member", 0 = "non-member", equally many of each.
        validation: the same for the units with the next most extreme scores.
    """

    training: pd.Series
    validation: pd.Series


def pseudo_labels(basic: pd.Series, k: int) -> PseudoLabels:
    """Label the units with the highest and lowest basic scores.

    Tseng et al. (2022), section 3.3: the k highest are "members", the k lowest "non-members"; the next k at either end
    are for validation. With fewer than 4 k units, k is reduced to a quarter of them, rounded down, to keep the four
    groups disjoint.

    Args:
        basic: basic scores of at least 4 auxiliary units, index = unit, in any order. Ties are ranked by name.
        k: units per group, at least 1.

    >>> labels = pseudo_labels(pd.Series({"a": 0.1, "b": 0.9, "c": 0.4, "d": 0.6, "e": 0.5}), k=500)
    >>> labels.training.to_dict(), labels.validation.to_dict()
    ({'b': 1.0, 'a': 0.0}, {'d': 1.0, 'c': 0.0})
    """
    ranked = basic.sort_index().sort_values(ascending=False, kind="stable").index
    k = min(k, len(ranked) // 4)
    if k < 1:
        raise ValueError(f"Expected at least 4 units and k of 1 or more, got {len(ranked)} units and k = {k}")
    return PseudoLabels(
        training=_label(ranked[:k], ranked[-k:]),
        validation=_label(ranked[k : 2 * k], ranked[-2 * k : -k]),
    )


def _label(members: pd.Index, nonmembers: pd.Index) -> pd.Series:
    return pd.concat([pd.Series(1.0, index=members), pd.Series(0.0, index=nonmembers)])


class LearnedAttack(Attack):
    """Base class of Tseng, Kao and Lee's improved attacks.

    From the paper: labels, network, dropout, loss, optimizer and epochs. From the authors' code, where the paper is
    silent: a linear layer as wide as the frames, batches of 32, patience, and selection of the best weights by
    validation loss. Deviations: padding is masked (see `AttentionPooling`), and the auxiliary recordings are not part
    of the challenge set.

    With `paper_protocol`, the network is fitted on the non-members of the challenge set, as in the paper. The p-value
    is then invalid: the test redraws the labels as if the scores did not depend on them. The attack is reported among
    the controls and never decides a verdict.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
        k: auxiliary units per pseudo-label.
        fit: settings of the fit.
        paper_protocol: whether the network is fitted on the non-members of the challenge set.
    """

    access = "black-box"
    two_sided = True  # the network follows the basic score, whose sign is unknown
    reference = "Tseng, Kao and Lee (2022), section 3.3, improved attack"
    needs_frames = True
    unit_column: ClassVar[str]  # column of the recordings that identifies a unit
    unit_description: ClassVar[str]  # for messages
    min_units: ClassVar[int]

    def __init__(self, layer: Layer, k: Count, fit: FitSettings, paper_protocol: bool) -> None:
        self.layer, self.k, self.fit = layer, k, fit
        check_ranges(LearnedAttack.__init__, vars(self), f"{type(self).__name__}.")
        self._paper_protocol = paper_protocol

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Layer, learning rate, epochs and protocol unless default."""
        default = FitSettings()
        return (
            layer_suffix(self.layer),
            f"lr{self.fit.learning_rate:g}" if self.fit.learning_rate != default.learning_rate else "",
            f"epochs{self.fit.epochs}" if self.fit.epochs != default.epochs else "",
            "paper_protocol" if self.paper_protocol else "",
        )

    @property
    def paper_protocol(self) -> bool:
        """Whether the network is fitted on challenge non-members."""
        return self._paper_protocol

    def score(self, evidence: Evidence) -> pd.Series:
        """Fit the network and score every challenge unit.

        The scores depend on the recordings and the seed, not on the order of rows or on torch's global generators,
        whose state is preserved.

        Raises:
            CannotRun: no frames, too few auxiliary units, or a diverged network.
        """
        if evidence.frames is None:
            raise CannotRun("it needs the model's frames, and only its signals are available")
        source = FrameSource(evidence.frames, evidence.target.layer(self.layer), self.fit.cache_bytes)
        auxiliary = self._auxiliary(evidence)
        self._check_size(auxiliary[self.unit_column].nunique())
        with preserved_randomness():
            basic = self._basic_scores(source, auxiliary)
            basic = basic[np.isfinite(basic)]  # a unit with a single frame, or utterance, has no pairs
            self._check_size(len(basic))
            net = self._fit(source, auxiliary, pseudo_labels(basic, self.k), evidence.seed)
            scores = self._scores(net, source, evidence.challenge)
        if not np.isfinite(scores).all():
            raise CannotRun(
                f"its network diverged at learning rate {self.fit.learning_rate:g}; a smaller one is needed"
            )
        return scores

    def _auxiliary(self, evidence: Evidence) -> pd.DataFrame:
        """List the auxiliary recordings, sorted by id.

        Excludes challenge units, unless the attack follows the paper's protocol.
        """
        auxiliary = evidence.auxiliary.sort_values("id", ignore_index=True)
        in_challenge = auxiliary[self.unit_column].isin(evidence.challenge[self.unit_column])
        return auxiliary if self.paper_protocol else auxiliary[~in_challenge]

    def _check_size(self, n_units: int) -> None:
        if n_units < self.min_units:
            raise CannotRun(f"it needs {self.min_units} or more {self.unit_description}, and there are {n_units}")

    def _fit(self, source: FrameSource, auxiliary: pd.DataFrame, labels: PseudoLabels, seed: int) -> SimilarityNet:
        """Fit a network on the labelled recordings."""
        seeds = np.random.SeedSequence(seed).generate_state(4).tolist()
        example_seed, validation_seed, weight_seed, dropout_seed = seeds
        units = labels.training.index.union(labels.validation.index)
        labelled = auxiliary[auxiliary[self.unit_column].isin(units)]
        generator = np.random.default_rng(example_seed)
        validation = self._examples(labelled, labels.validation, np.random.default_rng(validation_seed))

        def draw() -> list[Example]:
            examples = self._examples(labelled, labels.training, generator)
            return [examples[i] for i in generator.permutation(len(examples))]

        source.keep(list(labelled["id"]))
        hidden = source.batch(validation[0].utterances).hidden
        net = fit_net(
            lambda: self._net(hidden.shape[2]),
            LabelledBatches(source, draw, self.fit.batch_size),
            LabelledBatches(source, lambda: validation, self.fit.batch_size),
            settings=self.fit,
            weight_seed=weight_seed,
            dropout_seed=dropout_seed,
            device=hidden.device,
            title=f"Fitting {self.name}",
        )
        source.forget()
        return net.to(hidden.device, torch.float64)

    @abstractmethod
    def _net(self, dim: int) -> SimilarityNet:
        """Create a network for frames of dimension `dim`.

        Weights are drawn from torch's global generator.
        """

    @abstractmethod
    def _basic_scores(self, source: FrameSource, auxiliary: pd.DataFrame) -> pd.Series:
        """Compute the basic score of every auxiliary unit.

        Index = unit; not finite for units without pairs.
        """

    @abstractmethod
    def _examples(self, labelled: pd.DataFrame, labels: pd.Series, generator: np.random.Generator) -> Sequence[Example]:
        """Make the examples of an epoch.

        Args:
            labelled: recordings of the labelled units.
            labels: index = unit.
            generator: generator of random pairs.
        """

    @abstractmethod
    def _scores(self, net: SimilarityNet, source: FrameSource, challenge: pd.DataFrame) -> pd.Series:
        """Score every challenge unit, index = `unit_id`."""
