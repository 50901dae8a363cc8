from typing import Any

import pytest
import torch

from lightning_mia.attacks.frame_networks.batches import FrameSource

FRAMES = {name: torch.full((length, 2), float(length)) for name, length in (("c", 3), ("a", 1), ("b", 2), ("d", 4))}
BYTES_OF_A_FRAME = 8


def test_a_batch_has_the_rows_asked_for_with_zeros_on_padding(planted_frames: Any) -> None:
    batch = FrameSource(planted_frames(FRAMES), 0, 0).batch(["c", "a"])
    assert batch.ids == ["c", "a"] and batch.lengths.tolist() == [3, 1]
    assert batch.hidden[:, :, 0].tolist() == [[3.0, 3.0, 3.0], [1.0, 0.0, 0.0]]


@pytest.mark.parametrize("cache_frames", [0, 3, 5, 10])
def test_the_cache_is_bounded_and_changes_no_frame(planted_frames: Any, cache_frames: int) -> None:
    frames = planted_frames(FRAMES, batch_size=1)
    source = FrameSource(frames, 0, cache_frames * BYTES_OF_A_FRAME)
    source.keep(list(FRAMES))
    assert sum(own.nbytes for own in source.kept.values()) <= cache_frames * BYTES_OF_A_FRAME
    frames.asked.clear()
    batch = source.batch(["d", "b", "a"])
    for row, name in enumerate(batch.ids):
        assert torch.equal(batch.hidden[row, : batch.lengths[row]], FRAMES[name])
    asked_again = {name for ids in frames.asked for name in ids}
    assert asked_again == {"d", "b", "a"} - set(source.kept)
    assert (cache_frames == 10) == (not frames.asked)
    source.forget()
    assert not source.kept


def test_the_model_is_asked_in_the_order_of_ids(planted_frames: Any) -> None:
    frames = planted_frames(FRAMES)
    source = FrameSource(frames, 0, 0)
    assert [name for batch in source.stream(["d", "a", "c"]) for name in batch.ids] == ["a", "c", "d"]
    source.batch(["b", "a"])
    assert frames.asked == [["a", "c", "d"], ["a", "b"]]
