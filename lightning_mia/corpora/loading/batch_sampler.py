"""Batches by a budget of seconds, utterances of similar length together."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

LENGTH_JITTER = 0.1  # how far a length may move in the shuffled order, as a fraction of itself


class LengthBatches(Sampler[list[int]]):
    """Every utterance once an epoch, in batches of about equal duration and similar length.

    The number of batches is the same in every epoch and depends only on `n_batches`, so that models
    trained on different member sets take equally many optimizer steps. With `shuffle`, who shares a batch
    with whom, and the order of the batches, change with the epoch and depend on `seed` and the epoch alone:
    an interrupted run that resumes sees the same batches as an undisturbed one.

    In training (`shuffle`) the processes share every batch, so that the number of processes changes neither the
    optimizer steps nor what a step sees; a batch with fewer utterances than processes repeats some. Otherwise
    the processes take turns with whole batches, and nothing is repeated.

    Args:
        durations: seconds of every utterance, (n,).
        n_batches: batches an epoch; see `batches_for`.
        shuffle: draw a new order every epoch; otherwise by length, always the same.
        seed: of the order, apart from the seed of the split.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(
        self,
        durations: ArrayLike,
        n_batches: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.durations = np.asarray(durations, dtype=np.float64)
        self.n_batches = min(n_batches, len(self.durations))
        self.shuffle, self.seed, self.rank, self.world_size = shuffle, seed, rank, world_size
        self.epoch = 0

    @property
    def sampler(self) -> "LengthBatches":
        """Lightning announces the epoch to `batch_sampler.sampler`, which is this very object."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_batches if self.shuffle else len(range(self.rank, self.n_batches, self.world_size))

    def __iter__(self) -> Iterator[list[int]]:
        batches = self._batches()
        if self.shuffle:
            for batch in batches:
                shared = np.resize(batch, max(len(batch), self.world_size))
                yield shared[self.rank :: self.world_size].tolist()
        else:
            for index in range(self.rank, self.n_batches, self.world_size):
                yield batches[index].tolist()

    def _batches(self) -> list[np.ndarray]:
        if not self.shuffle:
            return self._cut(np.argsort(self.durations, kind="stable"))
        rng = np.random.default_rng([self.seed, self.epoch])
        jitter = rng.uniform(1 - LENGTH_JITTER, 1 + LENGTH_JITTER, len(self.durations))
        batches = self._cut(np.argsort(self.durations * jitter, kind="stable"))
        return [batches[index] for index in rng.permutation(self.n_batches)]

    def _cut(self, order: np.ndarray) -> list[np.ndarray]:
        """Cut an order into `n_batches` runs of about equal duration, none of them empty."""
        ends = np.cumsum(self.durations[order])
        targets = ends[-1] * np.arange(1, self.n_batches) / self.n_batches
        cuts = np.searchsorted(ends - self.durations[order] / 2, targets)
        # At least one utterance before each cut and one for each batch still to come.
        steps = np.arange(1, self.n_batches)
        cuts = np.maximum.accumulate(cuts - steps) + steps
        cuts = np.clip(cuts, steps, len(order) - self.n_batches + steps)
        return np.split(order, cuts)


def batches_for(durations: ArrayLike, batch_seconds: float) -> int:
    """Number of batches an epoch when every batch holds about `batch_seconds`.

    >>> batches_for([1.0] * 200, batch_seconds=32)
    7
    """
    return max(1, math.ceil(float(np.sum(durations)) / batch_seconds))
