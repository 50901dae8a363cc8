"""What the tests of attacks share: frames and signals that are planted instead of asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from lightning_mia.attacks.base import Evidence, ShadowModels
from lightning_mia.attacks.scalar_signals.base import ScalarSignal
from lightning_mia.signals.runner.frames import Frames
from lightning_mia.signals.table import Signals

JUNK = 1e3  # stands on padding, where it must not matter


class PlantedFrames:
    """Answers with given frames, (frames, dim) float32 an utterance, in batches of `batch_size` in the order asked."""

    def __init__(self, frames: Mapping[str, Tensor], batch_size: int = 16) -> None:
        self.frames, self.batch_size = frames, batch_size
        self.asked: list[list[str]] = []

    def __call__(self, ids: Sequence[str], layer: int = -1) -> Iterator[Frames]:
        self.asked.append(list(ids))
        for start in range(0, len(ids), self.batch_size):
            batch = list(ids[start : start + self.batch_size])
            lengths = torch.tensor([len(self.frames[name]) for name in batch])
            hidden = torch.full((len(batch), int(lengths.max()), self.frames[batch[0]].shape[1]), JUNK)
            for row, name in zip(hidden, batch, strict=True):
                row[: len(self.frames[name])] = self.frames[name]
            yield Frames(batch, hidden, lengths)


def make_evidence(
    frames: Mapping[str, Tensor], auxiliary: Sequence[str], level: str, seed: int = 0, batch_size: int = 16
) -> Evidence:
    """All recordings that are not auxiliary are judged; an id is `speaker/utterance`."""

    def table(ids: Sequence[str]) -> pd.DataFrame:
        return pd.DataFrame({"id": ids, "speaker": [name.split("/")[0] for name in ids]})

    challenge = table([name for name in frames if name not in set(auxiliary)])
    challenge["unit_id"] = challenge["id" if level == "utterance" else "speaker"]
    scalars = pd.DataFrame({"pairwise_cosine_layer0": 0.0}, index=list(frames))
    signals = Signals(scalars, torch.zeros(len(frames), 1, 2).numpy())
    return Evidence(signals, challenge, table(auxiliary), PlantedFrames(frames, batch_size), seed)


@pytest.fixture(scope="session")
def planted_frames() -> type[PlantedFrames]:
    return PlantedFrames


@pytest.fixture(scope="session")
def evidence_of() -> Callable[..., Evidence]:
    """`evidence_of(frames, auxiliary, level, seed=0, batch_size=16)`."""
    return make_evidence


@dataclass(frozen=True)
class PlantedFleet:
    """Evidence whose signals are drawn from a known law, and the answer.

    Attributes:
        evidence: the target, the shadow models, the challenge set and the auxiliary recordings.
        members: index = unit, bool: the target's membership, which no attack is shown.
        ideal: index = unit, the target's first signal less the difficulty: for an effect above 0 no score is better
            (Neyman and Pearson).
    """

    evidence: Evidence
    members: pd.Series
    ideal: pd.Series


def make_planted_fleet(
    n_units: int = 100,
    n_shadows: int = 4,
    *,
    columns: Sequence[str] = ("pretext_score_mask0",),
    effect: float | Sequence[float] = 1.0,
    spread: float = 2.0,
    noise: float = 1.0,
    level: str = "utterance",
    clips: int = 1,
    n_auxiliary: int = 50,
    pool: bool = False,
    dim: int = 4,
    seed: int = 0,
) -> PlantedFleet:
    """Draw the signals of a target and of shadow models in complementary pairs.

    A recording's signal is its own difficulty (N(0, spread²), the same for all models), plus `effect` where its unit
    is IN for the model, plus N(0, noise²). With `effect=0` there is nothing to find. An id is `speaker/clip`.

    Args:
        n_units: units that are judged, an even number; half are IN for each model.
        n_shadows: number of shadow models; of an odd number the last has no partner.
        columns: names of the signals.
        effect: shift by membership, one for all signals or one each.
        spread: standard deviation of the difficulty.
        noise: standard deviation from model to model, independent for each signal.
        level: "utterance" (the unit is a recording) or "speaker".
        clips: recordings a speaker; at utterance level too, where they are units of their own.
        n_auxiliary: recordings that no model was trained on, one of each speaker.
        pool: whether the shadow models are drawn from a pool of as many other units: they never saw a challenge unit.
        dim: numbers in a pooled vector (2 layers), which is drawn likewise, without effect.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    speakers = n_units if level == "speaker" else -(-n_units // clips)
    challenge = _recordings("s", speakers, clips, level)[: n_units * clips if level == "speaker" else n_units]
    others = _recordings("p", speakers, clips, level)[: len(challenge)] if pool else challenge[:0]
    auxiliary = _recordings("a", n_auxiliary, 1, "utterance")
    everyone = pd.concat([challenge, others, auxiliary], ignore_index=True)
    known = others if pool else challenge
    members = _half(challenge["unit_id"].unique(), rng)
    halves = [_half(known["unit_id"].unique(), rng) for _ in range(-(-n_shadows // 2))]
    of_shadows = [side for half in halves for side in (half, ~half)][:n_shadows]
    shifts = np.concatenate([np.broadcast_to(effect, len(columns)), np.zeros(2 * dim)])
    difficulty = spread * rng.standard_normal((len(everyone), len(shifts)))

    def answers(inside: pd.Series) -> Signals:
        is_in = everyone["unit_id"].map(inside).eq(True).to_numpy(dtype=float)
        values = difficulty + is_in[:, None] * shifts + noise * rng.standard_normal(difficulty.shape)
        scalars = pd.DataFrame(values[:, : len(columns)], index=list(everyone["id"]), columns=list(columns))
        return Signals(scalars, values[:, len(columns) :].reshape(-1, 2, dim).astype(np.float32))

    table = pd.DataFrame(
        {f"shadow_{k:03d}": known["unit_id"].map(one).to_numpy(dtype=bool) for k, one in enumerate(of_shadows)},
        index=list(known["id"]),
    )
    shadows = ShadowModels([answers(one) for one in of_shadows], table, others if pool else None)
    target = answers(members)
    easier = pd.Series(target.scalars.iloc[:, 0] - difficulty[:, 0]).loc[challenge["id"]]
    ideal = easier.groupby(challenge["unit_id"].to_numpy(), sort=False).mean()
    evidence = Evidence(target, challenge, auxiliary[["id", "speaker"]], seed=seed, shadows=shadows)
    return PlantedFleet(evidence, members, ideal)


def _recordings(letter: str, speakers: int, clips: int, level: str) -> pd.DataFrame:
    """`id`, `unit_id`, `speaker`."""
    names = np.repeat([f"{letter}{speaker:03d}" for speaker in range(speakers)], clips)
    ids = [f"{name}/{clip % clips}" for clip, name in enumerate(names)]
    return pd.DataFrame({"id": ids, "unit_id": ids if level == "utterance" else names, "speaker": names})


def _half(units: np.ndarray, rng: np.random.Generator) -> pd.Series:
    """Half of the units, at random: index = unit, bool."""
    return pd.Series(rng.permutation(np.arange(len(units)) % 2 == 1), index=units)


def auroc_of(scores: pd.Series, members: pd.Series) -> float:
    """AUROC from the definition: pairs in which the member scores higher, ties counted half."""
    inside, outside = scores.loc[members[members].index].to_numpy(), scores.loc[members[~members].index].to_numpy()
    difference = inside[:, None] - outside[None]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


class PlantedSignal(ScalarSignal):
    """Columns as they are, judged jointly."""

    access = "black-box"

    def __init__(self, columns: Sequence[str], two_sided: bool = False) -> None:
        self.columns, self.two_sided = list(columns), two_sided

    @property
    def name(self) -> str:
        return "planted"

    def read(self, signals: Signals) -> pd.DataFrame:
        return signals.scalars[self.columns]


@pytest.fixture(scope="session")
def planted_signal() -> type[PlantedSignal]:
    """`planted_signal(columns, two_sided=False)`."""
    return PlantedSignal


@pytest.fixture(scope="session")
def planted_fleet() -> Callable[..., PlantedFleet]:
    """`planted_fleet(n_units, n_shadows, columns=…, effect=…, level=…, …)`: see `make_planted_fleet`."""
    return make_planted_fleet


@pytest.fixture(scope="session")
def auroc() -> Callable[[pd.Series, pd.Series], float]:
    """`auroc(scores, members)`, both with the unit as index."""
    return auroc_of
