"""Hidden spans that cover every frame once per round."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lightning_mia.signals.inputs.random_masks import utterance_generator


def hidden_spans(ids: Sequence[str], frames: Sequence[int], length: int, every: int, draw: int, seed: int) -> Tensor:
    """Cut each utterance into spans and hide every k-th span.

    Errors vary far more between frames than between models. Alternating spans weight all frames equally; the same
    number of random spans would omit some frames and count others twice. The start of the first span is drawn from the
    utterance's id, once per round.

    Args:
        ids: utterances.
        frames: number of frames of each utterance.
        length: frames of a span; fewer in an utterance that is too short for `every` spans.
        every: k, at least 2.
        draw: number of the draw, from 0; draws 0 to `every` − 1 form the first round, and so on.
        seed: seed of the probe.

    Returns:
        (batch, max(frames)) bool, False on padding. A row depends on its utterance's id and number of frames alone.

    >>> torch.stack([hidden_spans(["a"], [8], length=2, every=2, draw=draw, seed=0)[0] for draw in (0, 1)]).int()
    tensor([[1, 1, 0, 0, 1, 1, 0, 0],
            [0, 0, 1, 1, 0, 0, 1, 1]], dtype=torch.int32)
    """
    masks = torch.zeros(len(ids), max(frames), dtype=torch.bool)
    round_number, shift = divmod(draw, every)
    for row, utterance, n_frames in zip(masks, ids, frames, strict=True):
        span = max(1, min(length, n_frames // every))
        first = int(utterance_generator(utterance, round_number, seed, "spans/").integers(span * every))
        spans = (np.arange(n_frames) + first + (every - shift) * span) // span
        row[:n_frames] = torch.from_numpy(spans % every == 0)
    return masks
