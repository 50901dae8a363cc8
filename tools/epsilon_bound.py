"""Check the lower bound on ε on mechanisms whose ε is known, and print it as a Markdown table.

OMP_NUM_THREADS=1 python tools/epsilon_bound.py

A fair coin decides for each canary. Gaussian: the score is the coin plus normal noise, which is (ε, δ)-differentially
private with the exact ε of that noise. Randomised response: the score is the coin with probability e^ε / (1 + e^ε), and
else the other side; no mechanism of the same ε is easier to guess, so the bound comes closest to exceeding ε. No leak:
the score is noise.

`best r` is the bound of the paper for the number of guesses r that gives the largest mean, chosen with knowledge of the
mechanism and fixed for all draws; `ratio` compares the mean of this package's bound with it. `hindsight` takes the
largest of the same bounds in each draw, without a correction. Exit status 1 if the bound exceeds ε more often than the
99.9th percentile of a binomial with 5 %, or if the ratio at 1,000 canaries is below .8.
"""

import argparse
import math
import sys
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import binom

from lightning_mia.evaluation import Scores
from lightning_mia.evaluation.one_run import one_run_bound, one_run_epsilon
from lightning_mia.evaluation.privacy import gaussian_epsilon

DELTA = 1e-5
MIN_RATIO = 0.8
ROWS = [
    *((kind, epsilon, m) for m in (100, 1000) for kind, epsilon in (("no leak", 0.0), ("randomised response", 2.0))),
    *(("Gaussian", epsilon, m) for m in (100, 1000) for epsilon in (1.0, 2.0, 4.0, 8.0, 16.0)),
]
HEADINGS = (
    *("mechanism", "ε", "canaries", "draws", "mean bound", "exceeds ε"),
    *("best r", "at best r", "ratio", "hindsight exceeds ε"),
)

published = cache(one_run_epsilon)


@dataclass(frozen=True)
class Row:
    """Bounds over many draws of one mechanism."""

    kind: str
    epsilon: float
    n_canaries: int
    bounds: np.ndarray  # (draws,)
    by_number: dict[int, np.ndarray]  # number of guesses → (draws,) bound of the paper

    @property
    def best_number(self) -> int:
        return max(self.by_number, key=lambda number: float(self.by_number[number].mean()))

    @property
    def ratio(self) -> float:
        best = self.by_number[self.best_number].mean()
        return float(self.bounds.mean() / best) if best > 0 else math.nan

    @property
    def n_exceeding(self) -> int:
        return int((self.bounds > self.epsilon).sum())

    def passes(self) -> bool:
        rare = self.n_exceeding <= binom.ppf(0.999, len(self.bounds), 0.05)
        close = self.kind != "Gaussian" or self.n_canaries < 1000 or self.ratio >= MIN_RATIO
        return bool(rare and close)

    def __str__(self) -> str:
        hindsight = np.mean(np.max(list(self.by_number.values()), axis=0) > self.epsilon)
        best = self.best_number
        cells = [
            *(self.kind, f"{self.epsilon:g}", f"{self.n_canaries:,}", f"{len(self.bounds):,}"),
            *(f"{self.bounds.mean():.2f}", f"{self.n_exceeding / len(self.bounds):.3f}"),
            *(f"{best:,}", f"{self.by_number[best].mean():.2f}"),
            "–" if self.kind == "no leak" else f"{self.ratio:.2f}",
            f"{hindsight:.3f}",
        ]
        return f"| {' | '.join(cells)} |"


def simulate(kind: str, epsilon: float, n_canaries: int, n_draws: int) -> Row:
    rng = np.random.default_rng([n_canaries, int(10 * epsilon), len(kind)])
    units = np.array([f"{number:04d}" for number in range(n_canaries)])
    numbers = sorted({2 * round(n_canaries * share / 2) for share in np.geomspace(0.01, 1, 25)} - {0, 2, 4})
    shift = shift_of(epsilon) if kind == "Gaussian" else 0.0
    bounds, by_number = [], {number: np.empty(n_draws) for number in numbers}
    for draw in range(n_draws):
        coins = rng.random(n_canaries) < 0.5
        values = shift * coins + rng.normal(size=n_canaries)
        if kind == "randomised response":
            values = (coins == (rng.random(n_canaries) < 1 / (1 + math.exp(-epsilon)))).astype(float)
        scores = Scores("canaries", "utterance", "grey-box", False, units, units, coins, values)
        bounds.append(one_run_bound(scores, DELTA).epsilon)
        ranked = coins[np.argsort(-values, kind="stable")]
        for number, of_number in by_number.items():
            n_correct = int(ranked[: number // 2].sum() + (~ranked[n_canaries - number // 2 :]).sum())
            of_number[draw] = published(n_canaries, number, n_correct, DELTA)
    return Row(kind, epsilon, n_canaries, np.array(bounds), by_number)


def shift_of(epsilon: float) -> float:
    """Find the shift, in standard deviations of the noise, at which a Gaussian mechanism has this ε."""
    from scipy.optimize import brentq

    return float(brentq(lambda shift: gaussian_epsilon(1 / shift, 1, DELTA) - epsilon, 1e-3, 20.0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n_draws", type=int, default=1000, help="draws per row")
    n_draws = parser.parse_args().n_draws
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    failed = []
    for kind, epsilon, n_canaries in ROWS:
        row = simulate(kind, epsilon, n_canaries, n_draws)
        print(row, flush=True)
        failed += [] if row.passes() else [row]
    for row in failed:
        print(f"FAILED: {row}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
