"""Simulated evidence with a known effect, for examples and tests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Evidence, ShadowModels
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.signals.table import Signals


@dataclass(frozen=True)
class SimulatedAudit:
    """Simulated evidence and its ground truth.

    Attributes:
        evidence: target, shadow models, challenge set and auxiliary recordings.
        members: index = unit, bool, membership in the target, which is not part of the evidence.
        ideal: index = unit, log-likelihood ratio of the target's first signal, given the unit's centres and noise: the
            optimal score (Neyman and Pearson).
    """

    evidence: Evidence
    members: pd.Series
    ideal: pd.Series

    def auroc(self, scores: pd.Series) -> float:
        """Compute the AUROC of scores, rounded to two decimals."""
        values = scores.loc[self.members.index].to_numpy(dtype=float)
        return round(float(labelled_aurocs(values, self.members.to_numpy(bool)[None])[0]), 2)


def simulate_audit(
    n_units: int = 100,
    n_shadows: int = 4,
    *,
    columns: Sequence[str] = ("pretext_score_mask0",),
    effect: float | Sequence[float] = 1.0,
    spread: float = 2.0,
    slope: float = 1.0,
    noise: float = 1.0,
    noise_spread: float = 0.0,
    tails: float | None = None,
    level: str = "utterance",
    clips: int = 1,
    n_auxiliary: int = 50,
    pool: bool = False,
    dim: int = 4,
    seed: int = 0,
) -> SimulatedAudit:
    """Simulate signals of a target and its shadow models.

    Shadow models form complementary pairs.

    The signal of a recording is its difficulty, N(0, spread²), shared by all models, plus N(0, noise²). If its unit is
    IN for the model, `slope` · difficulty + `effect` replaces the difficulty. Recording ids are `speaker/clip`.

    Args:
        n_units: even number of challenge units; half are IN for each model.
        n_shadows: number of shadow models; the last of an odd number has no partner.
        columns: names of the signals.
        effect: shift by membership, shared or one per signal; 0: no leak.
        spread: standard deviation of the difficulty.
        slope: of a recording's IN centre over its difficulty.
        noise: standard deviation between models, independent for each signal.
        noise_spread: standard deviation, between recordings, of the log of that standard deviation.
        tails: degrees of freedom of Student's t with this standard deviation, instead of normal noise; above 2.
        level: "utterance" (each recording is a unit) or "speaker".
        clips: recordings per speaker.
        n_auxiliary: number of auxiliary speakers, each with one recording.
        pool: whether the shadow models are trained on a pool of as many other units, and OUT for every challenge unit.
        dim: dimension of the pooled vectors of 2 layers, drawn like the signals but without effect.
        seed: random seed.

    >>> audit = simulate_audit(effect=3.0)
    >>> audit.auroc(audit.ideal)
    0.98
    """
    rng = np.random.default_rng(seed)
    speakers = n_units if level == "speaker" else -(-n_units // clips)
    challenge = _recordings("s", speakers, clips, level)[: n_units * clips if level == "speaker" else n_units]
    others = _recordings("p", speakers, clips, level)[: len(challenge)] if pool else challenge[:0]
    auxiliary = _recordings("a", n_auxiliary, 1, "utterance")
    recordings = pd.concat([challenge, others, auxiliary], ignore_index=True)
    training = others if pool else challenge
    members = _random_half(challenge["unit_id"].unique(), rng)
    halves = [_random_half(training["unit_id"].unique(), rng) for _ in range(-(-n_shadows // 2))]
    shadow_members = [inside for half in halves for inside in (half, ~half)][:n_shadows]
    shifts = np.concatenate([np.broadcast_to(effect, len(columns)), np.zeros(2 * dim)])
    slopes = np.concatenate([np.full(len(columns), slope), np.ones(2 * dim)])
    difficulty = spread * rng.standard_normal((len(recordings), len(shifts)))
    in_centres = slopes * difficulty + shifts
    scales = np.full((len(recordings), 1), noise)
    if noise_spread:
        scales *= np.exp(noise_spread * rng.standard_normal(scales.shape))

    def signals(inside: pd.Series) -> Signals:
        is_in = recordings["unit_id"].map(inside).eq(True).to_numpy(dtype=bool)
        values = np.where(is_in[:, None], in_centres, difficulty) + scales * _noise(rng, difficulty.shape, tails)
        scalars = pd.DataFrame(values[:, : len(columns)], index=list(recordings["id"]), columns=list(columns))
        return Signals(scalars, values[:, len(columns) :].reshape(-1, 2, dim).astype(np.float32))

    table = pd.DataFrame(
        {
            f"shadow_{k:03d}": training["unit_id"].map(inside).to_numpy(dtype=bool)
            for k, inside in enumerate(shadow_members)
        },
        index=list(training["id"]),
    )
    shadows = ShadowModels([signals(inside) for inside in shadow_members], table, others if pool else None)
    target = signals(members)
    in_density, out_density = (
        _log_density((target.scalars.iloc[:, 0] - centres[:, 0]) / scales[:, 0], tails)
        for centres in (in_centres, difficulty)
    )
    ratios = (in_density - out_density).loc[challenge["id"]]
    ideal = ratios.groupby(challenge["unit_id"].to_numpy(), sort=False).mean()
    evidence = Evidence(target, challenge, auxiliary[["id", "speaker"]], seed=seed, shadows=shadows)
    return SimulatedAudit(evidence, members, ideal)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], tails: float | None) -> np.ndarray:
    """Draw noise with a standard deviation of 1."""
    if tails is None:
        return rng.standard_normal(shape)
    return rng.standard_t(tails, shape) * np.sqrt((tails - 2) / tails)


def _log_density(noise: pd.Series, tails: float | None) -> pd.Series:
    """Compute the log density of this noise, up to a constant."""
    if tails is None:
        return -0.5 * noise**2
    return -(tails + 1) / 2 * np.log1p(noise**2 / (tails - 2))


def _recordings(letter: str, speakers: int, clips: int, level: str) -> pd.DataFrame:
    """Make a table with `id`, `unit_id`, `speaker`."""
    names = np.repeat([f"{letter}{speaker:03d}" for speaker in range(speakers)], clips)
    ids = [f"{name}/{clip % clips}" for clip, name in enumerate(names)]
    return pd.DataFrame({"id": ids, "unit_id": ids if level == "utterance" else names, "speaker": names})


def _random_half(units: np.ndarray, rng: np.random.Generator) -> pd.Series:
    """Draw half of the units: index = unit, bool."""
    return pd.Series(rng.permutation(np.arange(len(units)) % 2 == 1), index=units)
