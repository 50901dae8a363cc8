"""Redraw the target's labels of a finished audit: p-values have to be uniform, and `leak` no oftener than its level.

OMP_NUM_THREADS=1 python tools/null_audit.py RUN_DIR

The models, their signals and the scores of all attacks stay as they are; who is called a member of the target is
drawn anew, 1,000 times, by the mechanism that drew the split. Each time all attacks are judged as in an audit: p-values
against 1,000 further redraws, corrected over the attacks of one level and access, and the difference to the wrong
model. Exits with 1 where an attack's p-values are not uniform (Kolmogorov-Smirnov, p < .001, ties broken at random), or
where p-values are below .05, or verdicts `leak`, more often than a true 5 % would be in 999 of 1,000 such counts.
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import binom, kstest
from tqdm import tqdm

from lightning_mia.evaluation import EvaluationSettings, Scores, evaluate, give_verdict
from lightning_mia.evaluation.auroc import auroc_of_labels
from lightning_mia.report import load_report
from lightning_mia.split import Split

SURE = 0.001
DRAWS, REDRAWS = 1, 2  # seeds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--n_draws", type=int, default=1000)
    arguments = parser.parse_args()
    report = load_report(arguments.run_dir / "report")
    split = Split.load(arguments.run_dir / "split.csv")
    attacks = [report.scores_of(result) for result in report.attacks]
    wrong = {
        (one.name.removeprefix("wrong_model_"), one.level): one
        for one in map(report.scores_of, report.controls)
        if one.name.startswith("wrong_model_")
    }
    labels = {
        level: split.redraw(_units(attacks, level), level, arguments.n_draws, DRAWS)
        for level in {one.level for one in attacks}
    }
    within = _most(arguments.n_draws)
    print(f"| attack | level | access | p < .05 | p < .01 | KS p |\n|{'---|' * 6}")
    bad = [_judge(one, attacks, split, labels[one.level], within) for one in attacks]
    families, overall = _verdicts(attacks, wrong, split, labels, arguments.n_draws)
    for (level, access), count in families.items():
        print(f"verdict leak, {level} level, {access}: {count} of {arguments.n_draws}")
    print(f"verdict leak, overall: {overall} of {arguments.n_draws} (each level and access has 5 % of its own)")
    return int(any(bad) or max(families.values()) > within)


def _most(n_draws: int) -> int:
    """The largest count that a true 5 % exceeds in one of a thousand."""
    return int(binom.ppf(1 - SURE, n_draws, 0.05))


def _units(attacks: list[Scores], level: str) -> list[str]:
    return sorted({unit for one in attacks if one.level == level for unit in one.unit_ids.tolist()})


def _columns(one: Scores, attacks: list[Scores]) -> np.ndarray:
    place = {unit: number for number, unit in enumerate(_units(attacks, one.level))}
    return np.array([place[unit] for unit in one.unit_ids.tolist()])


def _judge(one: Scores, attacks: list[Scores], split: Split, labels: np.ndarray, within: int) -> bool:
    """Print the row of one attack; whether its p-values are wrong."""
    own = auroc_of_labels(one.values, labels[:, _columns(one, attacks)])
    null = auroc_of_labels(one.values, split.redraw(one.unit_ids.tolist(), one.level, 1000, REDRAWS))
    if one.two_sided:
        centre = null.mean()
        own, null = abs(own - centre), abs(null - centre)
    reached = (null[None] >= own[:, None] - 1e-12).sum(axis=1)
    p = (1 + reached) / (1 + len(null))
    ties = (1 + (null[None] > own[:, None] + 1e-12).sum(axis=1)) / (1 + len(null))
    spread = np.random.default_rng(0).uniform(size=len(p))
    uniform = kstest(ties - 1 / (1 + len(null)) + spread * (p - ties + 1 / (1 + len(null))), "uniform").pvalue
    counts = int((p < 0.05).sum()), int((p < 0.01).sum())
    print(f"| {one.name} | {one.level} | {one.access} | {counts[0]} | {counts[1]} | {uniform:.2f} |")
    return uniform < SURE or counts[0] > within


def _verdicts(
    attacks: list[Scores],
    wrong: dict[tuple[str, str], Scores],
    split: Split,
    labels: dict[str, np.ndarray],
    n_draws: int,
) -> tuple[Counter[tuple[str, str]], int]:
    """How often there is a leak, by level and access, and overall."""
    families = Counter({(one.level, one.access): 0 for one in attacks})
    overall = 0
    settings = EvaluationSettings(n_bootstraps=200, seed=REDRAWS)
    columns = [_columns(one, attacks) for one in attacks]
    for draw in tqdm(range(n_draws), desc="Redrawing labels", unit="draw"):
        drawn = [
            replace(one, members=labels[one.level][draw, places]) for one, places in zip(attacks, columns, strict=True)
        ]
        verdict = give_verdict(evaluate(drawn, split.redraw, settings, wrong), [], drawn=True)
        overall += verdict.status == "leak"
        families.update((one.level, one.access) for one in verdict.by_level_and_access if one.status == "leak")
    return families, overall


if __name__ == "__main__":
    sys.exit(main())
