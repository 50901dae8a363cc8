from typing import Any

import torch

from lightning_mia.attacks.frame_networks.batches import Example, FrameSource, LabelledBatches

FRAMES = {name: torch.full((2, 3), float(number)) for number, name in enumerate("abcde")}
PAIRS = [Example(("a", "b"), 1.0), Example(("b", "c"), 1.0), Example(("d", "e"), 0.0)]


def test_every_example_once_an_epoch_and_the_frames_of_an_utterance_once_a_batch(planted_frames: Any) -> None:
    batches = LabelledBatches(FrameSource(planted_frames(FRAMES), 0, 0), lambda: PAIRS, batch_size=2)
    for _ in range(2):  # two epochs
        first, second = batches
        assert first.hidden[:, 0, 0].tolist() == [0.0, 1.0, 2.0]
        assert first.rows.tolist() == [[0, 1], [1, 2]] and first.labels.tolist() == [1.0, 1.0]
        assert second.hidden[second.rows][0, :, 0, 0].tolist() == [3.0, 4.0] and second.labels.tolist() == [0.0]


def test_the_examples_of_an_epoch_are_drawn_anew(planted_frames: Any) -> None:
    epochs = iter([PAIRS[:1], PAIRS[2:]])
    batches = LabelledBatches(FrameSource(planted_frames(FRAMES), 0, 0), lambda: next(epochs), batch_size=8)
    assert [batch.labels.tolist() for _ in range(2) for batch in batches] == [[1.0], [0.0]]
