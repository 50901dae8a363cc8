import numpy as np
import pytest

from lightning_mia.corpora.loading.batch_sampler import LengthBatches, count_batches

DURATIONS = np.random.default_rng(0).uniform(0.1, 12, 203)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("n_batches", [1, 7, 50, 203, 500])
def test_every_utterance_is_in_one_batch_over_all_ranks(shuffle: bool, world_size: int, n_batches: int) -> None:
    ranks = [
        list(LengthBatches(DURATIONS, n_batches, shuffle=shuffle, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    seen = [index for batches in ranks for batch in batches for index in batch]
    assert set(seen) == set(range(len(DURATIONS)))
    if not shuffle:
        assert len(seen) == len(DURATIONS)
    elif n_batches <= 7:  # then every batch has an utterance for each process
        assert len(seen) == len(DURATIONS)
        assert all(len(batches) == n_batches for batches in ranks)


def test_steps_do_not_depend_on_the_number_of_processes() -> None:
    alone = [set(batch) for batch in LengthBatches(DURATIONS, 20, shuffle=True)]
    shares = [list(LengthBatches(DURATIONS, 20, shuffle=True, rank=rank, world_size=3)) for rank in range(3)]
    assert [set().union(*step) for step in zip(*shares, strict=True)] == alone


def test_batches_have_equal_duration_and_similar_lengths() -> None:
    batches = list(LengthBatches(DURATIONS, 40, shuffle=True))
    padded = [DURATIONS[batch].max() * len(batch) for batch in batches]
    real = [DURATIONS[batch].sum() for batch in batches]
    assert sum(padded) / sum(real) < 1.15
    assert max(real) < 2 * DURATIONS.sum() / 40


def test_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = LengthBatches(DURATIONS, 10, shuffle=True, seed=seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def test_number_of_batches_is_constant() -> None:
    batches = LengthBatches(DURATIONS, 13, shuffle=True)
    for epoch in range(5):
        batches.set_epoch(epoch)
        assert len(list(batches)) == len(batches) == 13


def test_long_clip_leaves_no_batch_empty() -> None:
    batches = list(LengthBatches([100.0, 1.0, 1.0, 1.0], 3))
    assert sorted(map(len, batches)) == [1, 1, 2]


def test_count_batches_covers_the_budget() -> None:
    assert count_batches([10.0, 10.0], 100) == 1
    assert count_batches([10.0] * 11, 20) == 6
