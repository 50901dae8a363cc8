from typing import Any

import pytest
import torch

from lightning_mia.attacks.frame_networks.batches import Example, FrameSource, LabelledBatches

FRAMES = {name: torch.full((2, 3), float(number)) for number, name in enumerate("abcde")}
PAIRS = [Example(("a", "b"), 1.0), Example(("b", "c"), 1.0), Example(("d", "e"), 0.0)]


def test_epoch_has_each_example_once_and_batch_each_utterance_once(planted_frames: Any) -> None:
    batches = LabelledBatches(FrameSource(planted_frames(FRAMES), 0, 0), lambda: PAIRS, batch_size=2)
    for _ in range(2):  # two epochs
        first, second = batches
        assert first.hidden[:, 0, 0].tolist() == [0.0, 1.0, 2.0]
        assert first.rows.tolist() == [[0, 1], [1, 2]] and first.labels.tolist() == [1.0, 1.0]
        assert second.hidden[second.rows][0, :, 0, 0].tolist() == [3.0, 4.0] and second.labels.tolist() == [0.0]


def test_examples_are_drawn_in_every_epoch(planted_frames: Any) -> None:
    epochs = iter([PAIRS[:1], PAIRS[2:]])
    batches = LabelledBatches(FrameSource(planted_frames(FRAMES), 0, 0), lambda: next(epochs), batch_size=8)
    assert [batch.labels.tolist() for _ in range(2) for batch in batches] == [[1.0], [0.0]]


SOURCE_FRAMES = {
    name: torch.full((length, 2), float(length)) for name, length in (("c", 3), ("a", 1), ("b", 2), ("d", 4))
}
BYTES_PER_FRAME = 8


def test_batch_has_requested_rows_zero_padded(planted_frames: Any) -> None:
    batch = FrameSource(planted_frames(SOURCE_FRAMES), 0, 0).batch(["c", "a"])
    assert batch.ids == ["c", "a"] and batch.lengths.tolist() == [3, 1]
    assert batch.hidden[:, :, 0].tolist() == [[3.0, 3.0, 3.0], [1.0, 0.0, 0.0]]


@pytest.mark.parametrize("cache_frames", [0, 3, 5, 10])
def test_cache_is_bounded_and_does_not_change_frames(planted_frames: Any, cache_frames: int) -> None:
    frames = planted_frames(SOURCE_FRAMES, batch_size=1)
    source = FrameSource(frames, 0, cache_frames * BYTES_PER_FRAME)
    source.keep(list(SOURCE_FRAMES))
    assert sum(own.nbytes for own in source.kept.values()) <= cache_frames * BYTES_PER_FRAME
    frames.queries.clear()
    batch = source.batch(["d", "b", "a"])
    for row, name in enumerate(batch.ids):
        assert torch.equal(batch.hidden[row, : batch.lengths[row]], SOURCE_FRAMES[name])
    recomputed = {name for ids in frames.queries for name in ids}
    assert recomputed == {"d", "b", "a"} - set(source.kept)
    assert (cache_frames == 10) == (not frames.queries)
    source.forget()
    assert not source.kept


def test_model_is_queried_in_the_order_of_ids(planted_frames: Any) -> None:
    frames = planted_frames(SOURCE_FRAMES)
    source = FrameSource(frames, 0, 0)
    assert [name for batch in source.stream(["d", "a", "c"]) for name in batch.ids] == ["a", "c", "d"]
    source.batch(["b", "a"])
    assert frames.queries == [["a", "c", "d"], ["a", "b"]]
