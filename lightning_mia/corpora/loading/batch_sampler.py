"""Batch sampler by total duration and similar length."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

LENGTH_JITTER = 0.1  # relative random change of a length before sorting, so that batches differ between epochs


class LengthBatches(Sampler[list[int]]):
    """Batch sampler: similar lengths, about equal total durations.

    Every utterance is in one batch of an epoch. The number of batches is `n_batches` (fewer only if there are fewer
    utterances), so that models trained on different member sets take equally many optimizer steps. With `shuffle`, the
    batches and their order depend only on `seed` and the epoch: an interrupted run resumes with the same batches.

    In training (`shuffle`) the processes split every batch, so that their number changes neither the optimizer steps
    nor the recordings of a step; a batch with fewer utterances than processes repeats some. Otherwise every process
    takes complete batches, and nothing is repeated.

    Args:
        durations: seconds of every utterance, (n,).
        n_batches: batches per epoch, see `count_batches`.
        shuffle: draw a new order every epoch; otherwise sort by length.
        seed: seed of the order, independent of the split's.
        rank: rank of this process.
        world_size: number of processes.

    Example:
        >>> list(LengthBatches([1.0, 3.0, 1.1, 2.9], n_batches=2))
        [[0, 2, 3], [1]]
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
        """This object: Lightning sets the epoch on `batch_sampler.sampler`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that determines the order."""
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
        """Cut an order into non-empty runs of about equal duration."""
        ends = np.cumsum(self.durations[order])
        targets = ends[-1] * np.arange(1, self.n_batches) / self.n_batches
        cuts = np.searchsorted(ends - self.durations[order] / 2, targets)
        # Leave at least one utterance for every batch before and after a cut.
        steps = np.arange(1, self.n_batches)
        cuts = np.maximum.accumulate(cuts - steps) + steps
        cuts = np.clip(cuts, steps, len(order) - self.n_batches + steps)
        return np.split(order, cuts)


def count_batches(durations: ArrayLike, batch_seconds: float) -> int:
    """Compute the number of batches of about `batch_seconds` per epoch.

    Example:
        >>> count_batches([1.0] * 200, batch_seconds=32)
        7
    """
    return max(1, math.ceil(float(np.sum(durations)) / batch_seconds))
