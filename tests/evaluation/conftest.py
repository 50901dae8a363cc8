"""Scores with a planted leak, and redraws of their labels."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lightning_mia.evaluation import Scores

MakeScores = Callable[..., Scores]


def redraw_within_speakers(units: Sequence[str], level: str, n: int, seed: int) -> np.ndarray:
    """Permute labels within speakers (half IN), or over speakers.

    Units are named speaker-number.
    """
    generator = np.random.default_rng([seed, len(units)])
    speakers = [unit.split("-")[0] if level == "utterance" else "all" for unit in units]
    labels = np.empty((n, len(units)), dtype=bool)
    for speaker in sorted(set(speakers)):
        columns = np.flatnonzero(np.array(speakers) == speaker)
        half = np.arange(len(columns)) < len(columns) // 2
        labels[:, columns] = generator.permuted(np.tile(half, (n, 1)), axis=1)
    return labels


@pytest.fixture
def redraw() -> Callable[..., np.ndarray]:
    return redraw_within_speakers


@pytest.fixture
def make_scores() -> MakeScores:
    def make(
        name: str = "attack",
        level: str = "utterance",
        access: str = "grey-box",
        two_sided: bool = False,
        leak: float = 0.0,
        n_speakers: int = 10,
        clips: int = 20,
        seed: int = 0,
    ) -> Scores:
        """Make members score higher by `leak`, in standard deviations."""
        clips = 1 if level == "speaker" else clips
        units = [f"s{s:03d}-{c:03d}" if clips > 1 else f"s{s:03d}" for s in range(n_speakers) for c in range(clips)]
        members = redraw_within_speakers(units, level, 1, 12345)[0]
        generator = np.random.default_rng(seed)
        speaker_means = np.repeat(generator.normal(size=n_speakers), clips)
        values = speaker_means * (clips > 1) + generator.normal(size=len(units)) + leak * members
        speakers = np.array([unit.split("-")[0] for unit in units])
        return Scores(name, level, access, two_sided, np.array(units), speakers, members, values)

    return make
