"""Redraw the target's labels of a finished audit: p-values have to be uniform, and `leak` no oftener than its level.

OMP_NUM_THREADS=1 python tools/null_audit.py RUN_DIR

The models, their signals and the scores of all attacks stay as they are; who is called a member of the target is
drawn anew, 1,000 times, by the mechanism that drew the split. Each time all attacks are judged as in an audit: p-values
against 1,000 further redraws, corrected over the attacks of one level and access, and, where one of those is below .05,
the difference to the wrong model and the verdict. Exits with 1 where an attack's p-values are not uniform
(Kolmogorov-Smirnov, p < .001, ties broken at random), or where p-values are below .05, or verdicts `leak`, more often
than a true 5 % would be in 999 of 1,000 such counts.
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import binom, kstest
from tqdm import tqdm

from lightning_mia.evaluation import EvaluationSettings, Scores, evaluate, give_verdict
from lightning_mia.evaluation.auroc import auroc_of_labels
from lightning_mia.evaluation.permutation import TIE, NullDistribution, corrected_p_values
from lightning_mia.report import load_report
from lightning_mia.split import Split

SURE = 0.001
SEED_OF_LABELS = 1
SETTINGS = EvaluationSettings(seed=2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--n_draws", type=int, default=1000)
    arguments = parser.parse_args()
    report = load_report(arguments.run_dir / "report")
    split = Split.load(arguments.run_dir / "split.csv")
    scores = [report.scores_of(result) for result in report.attacks]
    wrong = {
        (one.name.removeprefix("wrong_model_"), one.level): one
        for one in map(report.scores_of, report.controls)
        if one.name.startswith("wrong_model_")
    }
    attacks = redraw_labels(scores, split, arguments.n_draws)
    within = _most(arguments.n_draws)
    print(f"| attack | level | access | p < .05 | p < .01 | KS p |\n|{'---|' * 6}")
    bad = [_has_wrong_p_values(attack, within) for attack in attacks]
    families, overall, doubtful = _verdicts(attacks, wrong, split, arguments.n_draws)
    for (level, access), count in families.items():
        print(f"verdict leak, {level} level, {access}: {count} of {arguments.n_draws}")
    print(f"verdict leak, overall: {overall} of {arguments.n_draws} (each level and access has 5 % of its own)")
    print(f"draws with a corrected p-value below .05 somewhere: {doubtful} of {arguments.n_draws}")
    return int(any(bad) or max(families.values()) > within)


@dataclass(frozen=True)
class NullAttack:
    """One attack of the audit, and its AUROC by labels that say nothing.

    Attributes:
        scores: by the target.
        labels: (draws, units) bool, the labels that take the place of the observed ones.
        drawn: (draws,) AUROC by them.
        redrawn: (R,) AUROC by the labels that p-values come from, the same in `evaluate`.
    """

    scores: Scores
    labels: np.ndarray
    drawn: np.ndarray
    redrawn: np.ndarray

    @property
    def family(self) -> tuple[str, str]:
        return self.scores.level, self.scores.access

    def null(self, draw: int) -> NullDistribution:
        """What a p-value of one draw is made from."""
        return NullDistribution(np.append(self.drawn[draw], self.redrawn), self.scores.two_sided)


def redraw_labels(scores: list[Scores], split: Split, n_draws: int) -> list[NullAttack]:
    """Draw labels for all attacks, those of one level alike."""
    attacks: list[NullAttack] = []
    for level in dict.fromkeys(one.level for one in scores):
        of_level = [one for one in scores if one.level == level]
        units = sorted(set().union(*(one.unit_ids.tolist() for one in of_level)))
        place = {unit: number for number, unit in enumerate(units)}
        labels = split.redraw(units, level, n_draws, SEED_OF_LABELS)
        redraws = split.redraw(units, level, SETTINGS.n_redraws, SETTINGS.seed)
        for one in of_level:
            columns = [place[unit] for unit in one.unit_ids.tolist()]
            own, others = (auroc_of_labels(one.values, drawn[:, columns]) for drawn in (labels, redraws))
            attacks.append(NullAttack(one, labels[:, columns], own, others))
    return attacks


def _most(n_draws: int) -> int:
    """The largest count that a true 5 % exceeds in one of a thousand."""
    return int(binom.ppf(1 - SURE, n_draws, 0.05))


def _has_wrong_p_values(attack: NullAttack, within: int) -> bool:
    """Print the row of one attack; whether its p-values are not what they should be."""
    statistics = np.stack([attack.null(draw).standardised() for draw in range(len(attack.drawn))])  # (draws, 1 + R)
    own, null = statistics[:, :1], statistics[:, 1:]
    n_all = 1 + null.shape[1]
    p = (1 + (null >= own - TIE).sum(axis=1)) / n_all
    above = (null > own + TIE).sum(axis=1) / n_all
    spread = np.random.default_rng(0).uniform(size=len(p))
    uniform = kstest(above + spread * (p - above), "uniform").pvalue
    counts = int((p < 0.05).sum()), int((p < 0.01).sum())
    one = attack.scores
    print(f"| {one.name} | {one.level} | {one.access} | {counts[0]} | {counts[1]} | {uniform:.2f} |")
    return uniform < SURE or counts[0] > within


def _verdicts(
    attacks: list[NullAttack], wrong: dict[tuple[str, str], Scores], split: Split, n_draws: int
) -> tuple[Counter[tuple[str, str]], int, int]:
    """How often there is a leak, by level and access and overall, and in how many draws there was a doubt."""
    families = Counter({attack.family: 0 for attack in attacks})
    overall = n_doubtful = 0
    for draw in tqdm(range(n_draws), desc="Redrawing labels", unit="draw"):
        doubtful = [
            attack
            for family in families
            if min(corrected_p_values([one.null(draw) for one in attacks if one.family == family])) < 0.05
            for attack in attacks
            if attack.family == family
        ]
        if not doubtful:
            continue
        n_doubtful += 1
        drawn = [replace(attack.scores, members=attack.labels[draw]) for attack in doubtful]
        verdict = give_verdict(evaluate(drawn, split.redraw, SETTINGS, wrong), [], drawn=True)
        overall += verdict.status == "leak"
        families.update((one.level, one.access) for one in verdict.by_level_and_access if one.status == "leak")
    return families, overall, n_doubtful


if __name__ == "__main__":
    sys.exit(main())
