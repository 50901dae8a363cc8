"""Planted frames and simulated signals for the tests of attacks."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd
import pytest
import torch
from torch import Tensor

from lightning_mia.attacks.base import Evidence
from lightning_mia.attacks.runner.simulation import SimulatedAudit, simulate_audit
from lightning_mia.attacks.scalar_signals.base import ScalarSignal
from lightning_mia.signals.runner.frames import Frames
from lightning_mia.signals.table import Signals

JUNK = 1e3  # value of the padding, which must not matter


class PlantedFrames:
    """Returns given frames, (frames, dim) float32 per utterance, in batches and in the order queried."""

    def __init__(self, frames: Mapping[str, Tensor], batch_size: int = 16) -> None:
        self.frames, self.batch_size = frames, batch_size
        self.queries: list[list[str]] = []

    def __call__(self, ids: Sequence[str], layer: int = -1) -> Iterator[Frames]:
        self.queries.append(list(ids))
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
    """Make evidence in which all other recordings are the challenge set; ids are `speaker/utterance`."""

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


def auroc_of(scores: pd.Series, members: pd.Series) -> float:
    """Compute the AUROC from its definition, counting ties half."""
    inside, outside = scores.loc[members[members].index].to_numpy(), scores.loc[members[~members].index].to_numpy()
    difference = inside[:, None] - outside[None]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


class PlantedSignal(ScalarSignal):
    """Unchanged columns, jointly."""

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
def simulate() -> Callable[..., SimulatedAudit]:
    """`simulate_audit` as a fixture."""
    return simulate_audit


@pytest.fixture(scope="session")
def auroc() -> Callable[[pd.Series, pd.Series], float]:
    """`auroc(scores, members)`, both with the unit as index."""
    return auroc_of
