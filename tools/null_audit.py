"""Redraw the target's labels of a finished audit: p-values have to be uniform, and `leak` no oftener than its level.

OMP_NUM_THREADS=1 python tools/null_audit.py RUN_DIR

The models, their signals and the scores of all attacks stay as they are; who is called a member of the target is
drawn anew, 1,000 times, by the mechanism that drew the split. Each time all attacks are judged as in an audit: p-values
against 1,000 redraws of its own, corrected over the attacks of one level and access, and, where one of those is below
.05, the difference to the wrong model and the verdict. Exits with 1 where an attack's p-values are not uniform
(Kolmogorov-Smirnov, ties broken at random, p < .001 over the number of attacks), or where p-values are below .05, or
verdicts `leak`, more often than a true 5 % would be in 999 of 1,000 such counts.
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import binom, kstest
from tqdm import tqdm

from lightning_mia.evaluation import Context, EvaluationSettings, Scores, evaluate, give_verdict
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.permutation import TIE, NullDistribution, corrected_p_values, p_value
from lightning_mia.report import load_report
from lightning_mia.splits import Split

SURE = 0.001
SEED_OF_LABELS, FIRST_SEED_OF_REDRAWS = 0, 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--n_draws", type=int, default=1000)
    arguments = parser.parse_args()
    report = load_report(arguments.run_dir / "report")
    split = Split.load(arguments.run_dir / "split.csv")
    scores = [report.scores_of(result) for result in report.attacks]
    wrong = {
        (one.name.removeprefix("wrong_model_"), one.level): Context(wrong_model=one)
        for one in map(report.scores_of, report.controls)
        if one.name.startswith("wrong_model_")
    }
    audits = [NullAudit(of_level(scores, level), split, arguments.n_draws) for level in levels_of(scores)]
    for draw in tqdm(range(arguments.n_draws), desc="Redrawing labels", unit="draw"):
        for audit in audits:
            audit.judge(draw, wrong)
    within = int(binom.ppf(1 - SURE, arguments.n_draws, 0.05))
    print(f"| attack | level | access | p < .05 | p < .01 | KS p |\n|{'---|' * 6}")
    bad = [audit.tell(within) for audit in audits]
    return int(any(bad))


def levels_of(scores: list[Scores]) -> list[str]:
    return list(dict.fromkeys(one.level for one in scores))


def of_level(scores: list[Scores], level: str) -> list[Scores]:
    return [one for one in scores if one.level == level]


class NullAudit:
    """The attacks of one level, judged by labels that say nothing.

    Args:
        scores: of the attacks, by the target.
        split: that drew its members.
        n_draws: labels that take the place of the observed ones, one row after the other.
    """

    def __init__(self, scores: list[Scores], split: Split, n_draws: int) -> None:
        self.scores, self.split, self.level = scores, split, scores[0].level
        self.units = sorted(set().union(*(one.unit_ids.tolist() for one in scores)))
        place = {unit: number for number, unit in enumerate(self.units)}
        self.columns = [np.array([place[unit] for unit in one.unit_ids.tolist()]) for one in scores]
        self.labels = split.redraw(self.units, self.level, n_draws, SEED_OF_LABELS)
        self.p_values = np.empty((n_draws, len(scores)))
        self.above = np.empty((n_draws, len(scores)))  # p-values if ties were broken in favour of the observed labels
        self.leaks = Counter({one.access: 0 for one in scores})
        self.n_leaks = self.n_doubtful = 0

    def judge(self, draw: int, wrong: dict[tuple[str, str], Context]) -> None:
        """p-values and verdict of one draw."""
        settings = EvaluationSettings(seed=FIRST_SEED_OF_REDRAWS + draw)
        redraws = self.split.redraw(self.units, self.level, settings.n_redraws, settings.seed)
        labels = np.concatenate([self.labels[draw, None], redraws])  # (1 + R, units)
        nulls = [
            NullDistribution(labelled_aurocs(one.values, labels[:, columns]), one.two_sided)
            for one, columns in zip(self.scores, self.columns, strict=True)
        ]
        self.p_values[draw] = [p_value(null) for null in nulls]
        statistics = np.stack([null.standardised() for null in nulls])  # (attacks, 1 + R)
        self.above[draw] = (statistics > statistics[:, :1] + TIE).mean(axis=1)
        doubtful = []
        for access in self.leaks:
            family = [place for place, one in enumerate(self.scores) if one.access == access]
            if min(corrected_p_values([nulls[place] for place in family])) < 0.05:
                doubtful += family
        if doubtful:
            self.n_doubtful += 1
            drawn = [replace(self.scores[place], members=self.labels[draw, self.columns[place]]) for place in doubtful]
            verdict = give_verdict(evaluate(drawn, self.split.redraw, settings, wrong), [], drawn=True)
            self.n_leaks += verdict.status == "leak"
            self.leaks.update(one.access for one in verdict.by_level_and_access if one.status == "leak")

    def tell(self, within: int) -> bool:
        """Print what was counted; whether it is not what it should be."""
        spread = np.random.default_rng(0).uniform(size=self.p_values.shape)
        uniform = self.above + spread * (self.p_values - self.above)
        bad = False
        for place, one in enumerate(self.scores):
            counts = [int((self.p_values[:, place] < level).sum()) for level in (0.05, 0.01)]
            ks = kstest(uniform[:, place], "uniform").pvalue
            print(f"| {one.name} | {one.level} | {one.access} | {counts[0]} | {counts[1]} | {ks:.4f} |")
            bad |= ks < SURE / len(self.scores) or counts[0] > within
        n_draws = len(self.labels)
        for access, count in self.leaks.items():
            print(f"verdict leak, {self.level} level, {access}: {count} of {n_draws}")
        print(f"verdict leak, {self.level} level, any access: {self.n_leaks} of {n_draws}; each has 5 % of its own")
        print(f"corrected p < .05 somewhere at {self.level} level: {self.n_doubtful} of {n_draws}")
        return bad or max(self.leaks.values()) > within


if __name__ == "__main__":
    sys.exit(main())
