"""Check a finished audit's p-values and verdicts under redrawn labels.

OMP_NUM_THREADS=1 python tools/null_audit.py RUN_DIR

Models, signals and scores stay fixed; the target's membership labels are redrawn 1,000 times by the mechanism that drew
the split. Each draw is evaluated as in an audit: p-values against 1,000 further redraws, corrected over the attacks of
one level and access, and, if a corrected p-value is below .05, the difference to the wrong model and the verdict.

Exit status 1 if the p-values of an attack are not uniform (Kolmogorov-Smirnov, ties broken at random, p < .001 divided
by the number of attacks), or if p < .05 or the verdict `leak` occurs more often than the 99.9th percentile of a
binomial with 5 %.
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import binom, kstest
from tqdm import tqdm

from lightning_mia.evaluation import Context, EvaluationSettings, Scores, evaluate_scores, give_verdict
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.permutation import TIE, NullDistribution, corrected_p_values, p_value
from lightning_mia.report import load_report
from lightning_mia.splits import Split

ALPHA = 0.001  # of these checks
LABEL_SEED, FIRST_REDRAW_SEED = 0, 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path, help="run directory of a finished audit")
    parser.add_argument("--n_draws", type=int, default=1000, help="label draws")
    arguments = parser.parse_args()
    report = load_report(arguments.run_dir / "report")
    split = Split.load(arguments.run_dir / "split.csv")
    scores = [report.scores_of(result) for result in report.attacks]
    wrong_models = {
        (control.name.removeprefix("wrong_model_"), control.level): Context(wrong_model=control)
        for control in map(report.scores_of, report.controls)
        if control.name.startswith("wrong_model_")
    }
    by_level: dict[str, list[Scores]] = {}
    for attack in scores:
        by_level.setdefault(attack.level, []).append(attack)
    audits = [NullAudit(attacks, split, arguments.n_draws) for attacks in by_level.values()]
    for draw in tqdm(range(arguments.n_draws), desc="Redrawing labels", unit="draw"):
        for audit in audits:
            audit.evaluate(draw, wrong_models)
    max_count = int(binom.ppf(1 - ALPHA, arguments.n_draws, 0.05))
    print(f"| attack | level | access | p < .05 | p < .01 | KS p |\n|{'---|' * 6}")
    passed = [audit.report(max_count) for audit in audits]
    return int(not all(passed))


class NullAudit:
    """Attacks of one level, evaluated with random labels.

    Args:
        scores: scores of the target, by attack.
        split: split of the audit.
        n_draws: number of label draws.
    """

    def __init__(self, scores: list[Scores], split: Split, n_draws: int) -> None:
        self.scores, self.split, self.level = scores, split, scores[0].level
        self.units = sorted(set().union(*(attack.unit_ids.tolist() for attack in scores)))
        column = {unit: number for number, unit in enumerate(self.units)}
        self.columns = [np.array([column[unit] for unit in attack.unit_ids.tolist()]) for attack in scores]
        self.labels = split.draw_labels(self.units, self.level, n_draws, LABEL_SEED)
        self.p_values = np.empty((n_draws, len(scores)))
        self.above = np.empty((n_draws, len(scores)))  # p-values with every tie broken in favour of the observed labels
        self.leaks = Counter({attack.access: 0 for attack in scores})
        self.n_leaks = self.n_significant = 0

    def evaluate(self, draw: int, wrong_models: dict[tuple[str, str], Context]) -> None:
        """Compute the p-values and the verdict of one draw."""
        settings = EvaluationSettings(seed=FIRST_REDRAW_SEED + draw)
        redraw = partial(self.split.redraw, observed=self.labels[draw])
        redraws = redraw(self.units, self.level, settings.n_redraws, settings.seed)
        labels = np.concatenate([self.labels[draw, None], redraws])  # (1 + R, units)
        nulls = [
            NullDistribution(labelled_aurocs(attack.values, labels[:, columns]), attack.two_sided)
            for attack, columns in zip(self.scores, self.columns, strict=True)
        ]
        self.p_values[draw] = [p_value(null) for null in nulls]
        statistics = np.stack([null.standardised() for null in nulls])  # (attacks, 1 + R)
        self.above[draw] = (statistics > statistics[:, :1] + TIE).mean(axis=1)
        significant = []
        for access in self.leaks:
            group = [number for number, attack in enumerate(self.scores) if attack.access == access]
            if min(corrected_p_values([nulls[number] for number in group])) < 0.05:
                significant += group
        if significant:
            self.n_significant += 1
            relabelled = [
                replace(self.scores[number], members=self.labels[draw, self.columns[number]]) for number in significant
            ]
            results = evaluate_scores(relabelled, redraw, settings, wrong_models)
            verdict = give_verdict(results, [], drawn=True)
            self.n_leaks += verdict.status == "leak"
            self.leaks.update(part.access for part in verdict.by_level_and_access if part.status == "leak")

    def report(self, max_count: int) -> bool:
        """Print the counts and return whether they pass."""
        uniform = np.random.default_rng(0).uniform(size=self.p_values.shape)
        untied = self.above + uniform * (self.p_values - self.above)
        passed = True
        for number, attack in enumerate(self.scores):
            counts = [int((self.p_values[:, number] < level).sum()) for level in (0.05, 0.01)]
            ks = kstest(untied[:, number], "uniform").pvalue
            print(f"| {attack.name} | {attack.level} | {attack.access} | {counts[0]} | {counts[1]} | {ks:.4f} |")
            passed &= ks >= ALPHA / len(self.scores) and counts[0] <= max_count
        n_draws = len(self.labels)
        for access, count in self.leaks.items():
            print(f"verdict leak, {self.level} level, {access}: {count} of {n_draws}")
        print(f"verdict leak, {self.level} level, any access: {self.n_leaks} of {n_draws} (5 % allowed per access)")
        print(f"corrected p < .05 for any access, {self.level} level: {self.n_significant} of {n_draws}")
        return bool(passed and max(self.leaks.values()) <= max_count)


if __name__ == "__main__":
    sys.exit(main())
