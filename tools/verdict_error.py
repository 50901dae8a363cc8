"""Count false leaks of the verdict in simulated audits without a leak.

OMP_NUM_THREADS=1 python tools/verdict_error.py [--n_audits 1000] [--rows NAME ...] [--output FILE.md]

Every audit has new labels, redrawn by the mechanism of its split, and new scores that do not depend on them: a part
that all attacks share, a speaker effect and noise. Scores on the wrong model share half of their variance with those on
the target. The attacks are divided evenly over the three accesses, evaluated, and given a verdict as in an audit.
In rows with a confound, members score higher on target *and* wrong model by the same amount, and the blind baseline
does not notice. The table counts overall verdicts `leak`, with the one-sided 95 % upper bound of their share. Exit
status 1 if more than 5 % of a row's audits are leaks and the lower bound of the share exceeds 5 %, or if the upper
bound exceeds 6.5 % with 1,000 audits or more.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import beta
from tqdm import tqdm

from lightning_mia.evaluation import AttackResult, BlindResult, Context, EvaluationSettings, Scores, evaluate_scores
from lightning_mia.evaluation.scores import Key
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.permutation import NullDistribution, corrected_p_values
from lightning_mia.evaluation.verdict import give_verdict
from lightning_mia.splits import SpeakerDesign, Split, UtteranceDesign, predefined
from lightning_mia.splits.split import Level

ACCESSES = ("black-box", "open-weights", "grey-box")
MAX_UPPER = 0.065


@dataclass(frozen=True)
class Row:
    """One kind of audit."""

    name: str
    split: str = "utterance"
    n_attacks: int = 6
    wrong_model: bool = True
    scores: str = "normal"
    two_sided: float = 0.0  # share of the attacks
    confound: float = 0.0  # shift of the members on both models, in standard deviations

    @property
    def level(self) -> Level:
        """Level of the audit."""
        return "speaker" if self.split in ("speaker", "user-supplied speakers") else "utterance"


ROWS = [
    *(Row(f"drawn, {n} attacks", n_attacks=n) for n in (1, 6, 20, 50)),
    *(Row(f"drawn, {n} attacks, no wrong model", n_attacks=n, wrong_model=False) for n in (1, 6, 20, 50)),
    Row("drawn, half two-sided", two_sided=0.5),
    Row("drawn, ties", scores="ties", wrong_model=False),
    Row("drawn, heavy tails", scores="heavy tails", wrong_model=False),
    Row("drawn, unequal speakers", scores="unequal speakers", wrong_model=False),
    *(Row(f"drawn speakers, {n} attacks", "speaker", n) for n in (1, 6)),
    *(Row(f"drawn speakers, {n} attacks, no wrong model", "speaker", n, wrong_model=False) for n in (1, 6)),
    Row("user-supplied, by recording", "user-supplied recordings"),
    Row("user-supplied, by session", "user-supplied sessions", scores="sessions"),
    Row("user-supplied, by speaker", "user-supplied recordings by speaker", scores="unequal speakers"),
    Row("user-supplied speakers", "user-supplied speakers"),
    *(Row(f"shared confound 0.1, {n} attacks", "user-supplied recordings", n, confound=0.1) for n in (6, 20)),
    *(Row(f"shared confound 0.3, {n} attacks", "user-supplied recordings", n, confound=0.3) for n in (1, 6, 20, 50)),
    Row("shared confound 0.3, speakers", "user-supplied speakers", 6, confound=0.3),
    Row("shared confound 0.3, half two-sided", "user-supplied recordings", 20, two_sided=0.5, confound=0.3),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n_audits", type=int, default=1000, help="audits per row")
    parser.add_argument("--rows", nargs="*", help="names of rows; default: all")
    parser.add_argument("--output", type=Path, help="file for the table")
    arguments = parser.parse_args()
    rows = [row for row in ROWS if not arguments.rows or row.name in arguments.rows]
    lines = ["| audit | leaks | of | upper 95 % bound | leaks of single families |", "|---|---|---|---|---|"]
    passed = True
    print("\n".join(lines), flush=True)
    for row in rows:
        overall, single = zip(*simulate(row, arguments.n_audits), strict=True)
        leaks, n = sum(overall), len(overall)
        lower, upper = bounds(leaks, n)
        lines.append(f"| {row.name} | {leaks} | {n} | {upper:.1%} | {sum(single)} |")
        print(lines[-1], flush=True)
        passed &= lower <= ALPHA and (n < 1000 or upper <= MAX_UPPER)
        if arguments.output:
            arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if passed else 1


def bounds(hits: int, n: int) -> tuple[float, float]:
    """Return the one-sided 95 % bounds of a share (Clopper-Pearson)."""
    lower = float(beta.ppf(0.05, hits, n - hits + 1)) if hits else 0.0
    return lower, float(beta.ppf(0.95, hits + 1, n - hits))


def simulate(row: Row, n_audits: int) -> Iterator[tuple[bool, bool]]:
    """Yield whether audits are leaks: overall, and in any family."""
    split = draw_split(row.split)
    units = list(split.challenge(row.level)["unit_id"].unique())
    observed = split.draw_labels(units, row.level, n_audits, seed=2**31)
    for seed in tqdm(range(n_audits), desc=row.name, leave=False, disable=not sys.stderr.isatty()):
        yield audit(row, relabelled(split, row.level, units, observed[seed]), seed)


def audit(row: Row, split: Split, seed: int) -> tuple[bool, bool]:
    challenge = split.challenge(row.level).drop_duplicates("unit_id")
    generator = np.random.default_rng([seed, len(row.name)])
    scores: list[Scores] = []
    contexts: dict[Key, Context] = {}
    sessions = challenge["unit_id"].str.rsplit("-", n=1).str[0].to_numpy(str)
    common, wrong_common = (noise(row, challenge["speaker"].to_numpy(str), sessions, generator) for _ in range(2))
    for number in range(row.n_attacks):
        attack, wrong = attack_scores(row, challenge, number, (common, wrong_common), sessions, generator)
        scores.append(attack)
        if row.wrong_model:
            contexts[attack.key] = Context(wrong_model=wrong)
    settings = EvaluationSettings(n_bootstraps=200, fprs=[0.1], seed=seed)
    wrong_models = [context.wrong_model for context in contexts.values() if context.wrong_model is not None]
    if not may_leak(scores, wrong_models, split, settings):
        return False, False  # no family can be a leak, and nothing else is counted
    results = evaluate_scores(scores, split.redraw, settings, contexts)
    verdict = give_verdict(results, [clean_blind(results[0])], drawn=split.drawn)
    return verdict.status == "leak", any(family.status == "leak" for family in verdict.by_level_and_access)


def may_leak(
    scores: Sequence[Scores], wrong_models: Sequence[Scores], split: Split, settings: EvaluationSettings
) -> bool:
    """Test the conditions of a leak that need no bootstrap.

    The corrected p-value of an attack is below .05, and the split is drawn or the wrong model does not depart from
    chance, both as `evaluate_scores` computes them.
    """
    units, level = scores[0].unit_ids, scores[0].level
    order = np.argsort(units)
    redrawn = split.redraw(units[order].tolist(), level, settings.n_redraws, settings.seed)
    labels = np.concatenate([scores[0].members[order][None], redrawn])
    aurocs = labelled_aurocs(np.stack([score.values[order] for score in scores]), labels)
    if wrong_models and not split.drawn:
        wrong = labelled_aurocs(np.stack([score.values[order] for score in wrong_models]), labels)
        if min(corrected_p_values([NullDistribution(values, two_sided=True) for values in wrong])) < ALPHA:
            return False
    families: dict[str, list[NullDistribution]] = {}
    for score, values in zip(scores, aurocs, strict=True):
        families.setdefault(score.access, []).append(NullDistribution(values, score.two_sided))
    return any(min(corrected_p_values(family)) < ALPHA for family in families.values())


def attack_scores(
    row: Row,
    challenge: pd.DataFrame,
    number: int,
    common: tuple[np.ndarray, np.ndarray],
    sessions: np.ndarray,
    generator: np.random.Generator,
) -> tuple[Scores, Scores]:
    speakers, members = challenge["speaker"].to_numpy(str), challenge["member"].to_numpy(bool)
    own = noise(row, speakers, sessions, generator)  # of the attack, on both models
    values = [
        shape(row, 0.5 * part + 0.5 * own + noise(row, speakers, sessions, generator) / np.sqrt(2)) for part in common
    ]
    target, wrong = (value + row.confound * members for value in values)
    attack = Scores(
        name=f"attack_{number}",
        level=row.level,
        access=ACCESSES[number % 3],
        two_sided=number < row.two_sided * row.n_attacks,
        unit_ids=challenge["unit_id"].to_numpy(str),
        speakers=speakers,
        members=members,
        values=target,
        part="held_back" if row.level == "speaker" else "",
    )
    return attack, replace(attack, name=f"wrong_{number}", access="none", values=wrong)


def noise(row: Row, speakers: np.ndarray, sessions: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw standardised scores with effects of speakers (or sessions)."""
    clusters = sessions if row.scores == "sessions" else speakers
    names, cluster = np.unique(clusters, return_inverse=True)
    effects = generator.normal(size=len(names))
    if row.scores == "unequal speakers":
        effects *= np.exp(generator.normal(size=len(names)))
    return 0.6 * effects[cluster] + 0.8 * generator.normal(size=len(speakers))


def shape(row: Row, values: np.ndarray) -> np.ndarray:
    if row.scores == "ties":
        return np.round(values)
    return np.sinh(2 * values) if row.scores == "heavy tails" else values


def clean_blind(result: AttackResult) -> BlindResult:
    """Return a blind baseline that notices nothing."""
    control = replace(
        result, name="blind", access="none", auroc=0.5, p_value=0.5, p_value_corrected=None, versus_wrong_model=None
    )
    return BlindResult(control, upper95=0.55)


@cache
def draw_split(kind: str) -> Split:
    """Draw or build a split of 200 recordings or 24 speakers."""
    n_speakers = 24 if "speaker" in kind else 10
    clips = 200 // n_speakers if kind == "utterance" or "recordings" in kind else 20
    rows = [(f"s{s:02d}-{c // 4}-{c:02d}", f"s{s:02d}", f"{c // 4}") for s in range(n_speakers) for c in range(clips)]
    table = pd.DataFrame(rows, columns=["id", "speaker", "session"])
    contents = {name: name for name in table["id"]}
    if kind == "utterance":
        return UtteranceDesign(len(table), 0).draw(table, contents)
    if kind == "speaker":
        return SpeakerDesign(n_speakers, 0, clips // 2, clips // 2).draw(table, contents)
    clip, speaker = table.groupby("speaker").cumcount(), table["speaker"].str[1:].astype(int)
    if kind == "user-supplied recordings":
        member = clip % 2
        table = table.drop(columns="session")
    elif kind == "user-supplied sessions":
        member = table["session"].astype(int) % 2
    else:
        member = speaker % 2
    table["member"] = member.astype(str)
    if kind == "user-supplied speakers":
        table.loc[(clip >= clips // 2) & (member == 1), "member"] = "held_back"
        return predefined(table, contents, "speaker")
    return predefined(table, contents)


def relabelled(split: Split, level: Level, units: Sequence[str], labels: np.ndarray) -> Split:
    """Give a split other labels of its mechanism."""
    by_unit = dict(zip(units, labels.tolist(), strict=True))
    key = "speaker" if level == "speaker" else "id"
    table = split.table.copy()
    table["target"] = table[key].map(by_unit).fillna(False).astype(bool)
    return replace(split, table=table)


if __name__ == "__main__":
    sys.exit(main())
