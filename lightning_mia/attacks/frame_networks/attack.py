"""An attack that fits a net on pseudo-labelled auxiliary recordings and scores the challenge set with it."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import torch

from lightning_mia.attacks.base import Attack, CannotRun, Evidence, layer_suffix
from lightning_mia.attacks.classifiers.fit import FitSettings, fit_net
from lightning_mia.attacks.frame_networks.batches import Example, FrameSource, LabelledBatches
from lightning_mia.attacks.frame_networks.network import SimilarityNet
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class PseudoLabels:
    """Who is taken for a member, and who for a non-member; no unit stands in both series.

    Attributes:
        training: index = unit, float64, 1 = "member", 0 = "non-member"; as many of either.
        validation: the same for other units, the next ones on each side.
    """

    training: pd.Series
    validation: pd.Series


def pseudo_labels(basic: pd.Series, k: int) -> PseudoLabels:
    """Take the extremes of the basic score for members and non-members.

    Tseng et al. (2022), section 3.3: the k highest are "members", the k lowest "non-members"; the next k on each
    side validate. Where there are fewer than 4 k units, k shrinks to a quarter of them (rounded down), so that the
    four groups stay apart.

    Args:
        basic: basic scores of at least 4 auxiliary units, index = unit, in any order. Equal scores rank by name.
        k: units of a group, at least 1.

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
    """What the improved attacks have in common; see `LearnedUtteranceSimilarity` and `LearnedSpeakerSimilarity`.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
        k: auxiliary units a side that are labelled.
        fit: how the net is fitted.
        paper_protocol: whether it is fitted on the very non-members that it judges.
    """

    access = "black-box"
    two_sided = True  # the net follows the basic score, whose sign under control is not known
    reference = "Tseng, Kao and Lee (2022), section 3.3, improved attack"
    needs_frames = True
    plain_name: ClassVar[str]
    unit: ClassVar[str]  # column of the recordings that are labelled as a whole
    units: ClassVar[str]  # in words
    least_units: ClassVar[int]

    def __init__(self, layer: int, k: int, fit: FitSettings, paper_protocol: bool) -> None:
        if k < 1:
            raise InputError(f"k of {type(self).__name__} is {k}: give 1 or more")
        self.layer, self.k, self.fit = layer, k, fit
        self._paper_protocol = paper_protocol

    @property
    def name(self) -> str:
        """The plain name, with the layer, the learning rate, the epochs and the protocol where they are others."""
        plain, own = FitSettings(), self.fit
        name = self.plain_name + layer_suffix(self.layer)
        name += f"_lr{own.learning_rate:g}" if own.learning_rate != plain.learning_rate else ""
        name += f"_epochs{own.epochs}" if own.epochs != plain.epochs else ""
        return name + ("_paper_protocol" if self.paper_protocol else "")

    @property
    def paper_protocol(self) -> bool:
        """Whether it is fitted on the very non-members that it judges."""
        return self._paper_protocol

    def score(self, evidence: Evidence) -> pd.Series:
        """Fit the net on the auxiliary recordings and score every unit of the challenge set with it.

        The scores depend on the recordings and the seed, not on the order of rows nor on the state of torch's
        global generators, which stays as it was.

        Raises:
            CannotRun: no frames, too few auxiliary units, or a net that diverged.
        """
        if evidence.frames is None:
            raise CannotRun("it needs the model's frames, and there are only its signals")
        source = FrameSource(evidence.frames, evidence.target.layer(self.layer), self.fit.cache_bytes)
        auxiliary = self._auxiliary(evidence)
        self._check(auxiliary[self.unit].nunique())
        with _own_randomness():
            basic = self._basic_scores(source, auxiliary)
            basic = basic[np.isfinite(basic)]  # one frame, or one utterance, has no pairs
            self._check(len(basic))
            net = self._fit(source, auxiliary, pseudo_labels(basic, self.k), evidence.seed)
            scores = self._scores(net, source, evidence.challenge)
        if not np.isfinite(scores).all():
            raise CannotRun(f"its net diverged at learning rate {self.fit.learning_rate:g}, and needs a smaller one")
        return scores

    def _auxiliary(self, evidence: Evidence) -> pd.DataFrame:
        """The auxiliary recordings by id, without units that are judged; the paper's protocol is about these."""
        auxiliary = evidence.auxiliary.sort_values("id", ignore_index=True)
        judged = auxiliary[self.unit].isin(evidence.challenge[self.unit])
        return auxiliary if self.paper_protocol else auxiliary[~judged]

    def _check(self, n_units: int) -> None:
        if n_units < self.least_units:
            raise CannotRun(f"it needs {self.least_units} or more {self.units}, and there are {n_units}")

    def _fit(self, source: FrameSource, auxiliary: pd.DataFrame, labels: PseudoLabels, seed: int) -> SimilarityNet:
        """Fit a fresh net on the labelled recordings, and only on them."""
        of_examples, of_validation, of_weights, of_dropout = np.random.SeedSequence(seed).generate_state(4).tolist()
        labelled = auxiliary[auxiliary[self.unit].isin(labels.training.index.union(labels.validation.index))]
        generator = np.random.default_rng(of_examples)
        validation = self._examples(labelled, labels.validation, np.random.default_rng(of_validation))

        def draw() -> list[Example]:
            examples = self._examples(labelled, labels.training, generator)
            return [examples[place] for place in generator.permutation(len(examples))]

        source.keep(list(labelled["id"]))
        hidden = source.batch(validation[0].utterances).hidden
        torch.manual_seed(of_weights)
        net = self._net(hidden.shape[2])
        fit_net(
            net,
            LabelledBatches(source, draw, self.fit.batch_size),
            LabelledBatches(source, lambda: validation, self.fit.batch_size),
            settings=self.fit,
            seed=of_dropout,
            device=hidden.device,
            title=f"Fitting {self.name}",
        )
        source.forget()
        return net.to(hidden.device, torch.float64).eval()

    @abstractmethod
    def _net(self, dim: int) -> SimilarityNet:
        """A fresh net for frames of `dim` numbers, drawn from torch's global generator."""

    @abstractmethod
    def _basic_scores(self, source: FrameSource, auxiliary: pd.DataFrame) -> pd.Series:
        """The basic score of every auxiliary unit, index = unit; not finite where it has no pairs."""

    @abstractmethod
    def _examples(self, labelled: pd.DataFrame, labels: pd.Series, generator: np.random.Generator) -> Sequence[Example]:
        """The examples of an epoch: of the units of `labels`, whose recordings are among `labelled`."""

    @abstractmethod
    def _scores(self, net: SimilarityNet, source: FrameSource, challenge: pd.DataFrame) -> pd.Series:
        """The score of every challenge unit by a fitted float64 net, index = `unit_id`."""


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Give torch's global generators back their state."""
    gpus = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=gpus):
        yield
