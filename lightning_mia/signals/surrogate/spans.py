"""Spans that take turns: over a round of draws every frame of an utterance is hidden exactly once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lightning_mia.signals.inputs.random_masks import generator_of


def hidden_spans(ids: Sequence[str], frames: Sequence[int], length: int, every: int, draw: int, seed: int) -> Tensor:
    """Cut each utterance into spans and hide every so manieth of them.

    Errors differ far more from frame to frame than between models: spans that take turns weigh all frames equally,
    where as many random spans would leave some out and count others twice. Where the first span begins is drawn from
    the utterance's id, once a round.

    Args:
        ids: utterances.
        frames: frames of each utterance.
        length: frames of a span; fewer in an utterance that is too short for `every` of them.
        every: one span in so many is hidden, at least 2.
        draw: `every` successive draws, from a multiple of it on, are a round.
        seed: of the probe.

    Returns:
        (batch, max(frames)) bool, False on padding. A row depends on its utterance's id and number of frames alone.

    >>> torch.stack([hidden_spans(["a"], [8], length=2, every=2, draw=draw, seed=0)[0] for draw in (0, 1)]).int()
    tensor([[1, 1, 0, 0, 1, 1, 0, 0],
            [0, 0, 1, 1, 0, 0, 1, 1]], dtype=torch.int32)
    """
    masks = torch.zeros(len(ids), max(frames), dtype=torch.bool)
    round_of_draws, turn = divmod(draw, every)
    for row, utterance, n_frames in zip(masks, ids, frames, strict=True):
        span = max(1, min(length, n_frames // every))
        first = int(generator_of(utterance, round_of_draws, seed, "spans/").integers(span * every))
        places = (np.arange(n_frames) + first + (every - turn) * span) // span
        row[:n_frames] = torch.from_numpy(places % every == 0)
    return masks
