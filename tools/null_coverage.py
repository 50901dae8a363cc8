"""Check p-values and intervals on simulated scores without membership signal.

OMP_NUM_THREADS=1 python tools/null_coverage.py

Each design draws a split, and `Split.redraw` redraws its labels a thousand times. Every draw has new scores that are
independent of the labels: a speaker effect plus noise. The scores of the wrong model correlate with the target's at
one half. Exit status 1 if

- p-values are not uniform (Kolmogorov-Smirnov, p < .001; ties are broken at random, since the AUROC of 12 speakers
  takes only 37 values), or are below .05 or .01 too often;
- 95 % intervals cover 0.5 in fewer than 93 % or more than 97 % of the draws;
- the lower bound of the difference to the wrong model is above 0 too often.

"Too often" means above the 99.9th percentile of a binomial with 5 % (or 1 %).
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import binom, kstest
from tqdm import tqdm

from lightning_mia.evaluation import Scores
from lightning_mia.evaluation.paired import versus_wrong_model
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.bootstrap import SpeakerDraws, bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.intervals import auroc_interval
from lightning_mia.evaluation.statistics.permutation import NullDistribution, p_value
from lightning_mia.splits import SpeakerDesign, Split, UtteranceDesign
from lightning_mia.splits.split import Level

CLIPS = 20  # per speaker
DESIGNS: list[tuple[Level, int]] = [
    *(("utterance", n_speakers) for n_speakers in (6, 10, 20)),
    *(("speaker", n_speakers) for n_speakers in (12, 20, 40)),
]
SPEAKER_SHARES = {"utterance": (0.0, 0.2, 0.5), "speaker": (0.5,)}  # share of the variance due to speakers
MIN_COVERAGE, MAX_COVERAGE = 0.93, 0.97
ALPHA = 0.001  # of these checks


@dataclass(frozen=True)
class Draw:
    """Outcome of one draw of labels and scores."""

    p_value: float
    untied_p_value: float
    two_sided_p_value: float
    covers_chance: bool
    beats_wrong_model: bool
    beats_wrong_model_two_sided: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n_draws", type=int, default=1000, help="label draws per design")
    parser.add_argument("--n_redraws", type=int, default=1000, help="redraws per p-value")
    parser.add_argument("--n_bootstraps", type=int, default=1000, help="bootstrap replicates per interval")
    arguments = parser.parse_args()
    print(f"{arguments.n_draws} draws per design; integers are counts of draws, decimals are shares")
    heading = f"{'level':9} {'speakers':>8} {'share':>5} | {'p<.05':>5} {'p<.01':>5} {'KS p':>5} {'2-sided p<.05':>13}"
    print(f"{heading} | {'coverage':>8} | {'beats wrong':>11} {'2-sided':>7} |")
    passed = True
    for level, n_speakers in DESIGNS:
        split = draw_split(level, n_speakers)
        for share in SPEAKER_SHARES[level]:
            draws = pd.DataFrame(list(simulate(split, level, share, **vars(arguments))))
            failures = failed_checks(draws)
            print(
                f"{level:9} {n_speakers:8} {share:5.1f} | {describe(draws)} | {', '.join(failures) or 'passed'}",
                flush=True,
            )
            passed &= not failures
    return 0 if passed else 1


def draw_split(level: Level, n_speakers: int) -> Split:
    names = [f"speaker-{number:02d}" for number in range(n_speakers)]
    rows = [(f"{name}-{clip:02d}", name) for name in names for clip in range(CLIPS)]
    table = pd.DataFrame(rows, columns=["id", "speaker"])
    contents = {name: name for name in table["id"]}
    if level == "utterance":
        return UtteranceDesign(len(table), 0).draw(table, contents)
    return SpeakerDesign(n_speakers, 0, CLIPS // 2, CLIPS // 2).draw(table, contents)


def simulate(
    split: Split, level: Level, speaker_share: float, n_draws: int, n_redraws: int, n_bootstraps: int
) -> Iterator[Draw]:
    challenge = split.challenge(level).drop_duplicates("unit_id")
    units, speakers = challenge["unit_id"].to_list(), challenge["speaker"].to_numpy(str)
    generator = np.random.default_rng(len(units))
    observed = split.draw_labels(units, level, n_draws, seed=2**31)  # (draws, units)
    for seed, members in enumerate(tqdm(observed, leave=False, disable=not sys.stderr.isatty())):
        common, target_noise, wrong_noise = (null_scores(speakers, speaker_share, generator) for _ in range(3))
        target = Scores(
            "simulated", level, "grey-box", False, np.array(units), speakers, members, common + target_noise
        )
        wrong = replace(target, values=common + wrong_noise)
        redrawn = split.redraw(units, level, n_redraws, seed, observed=members)
        yield evaluate(target, wrong, redrawn, draw_speakers(speakers, members, n_bootstraps, seed), generator)


def null_scores(speakers: np.ndarray, speaker_share: float, generator: np.random.Generator) -> np.ndarray:
    names, speaker = np.unique(speakers, return_inverse=True)
    speaker_effects, noise = generator.normal(size=len(names)), generator.normal(size=len(speakers))
    return np.sqrt(speaker_share) * speaker_effects[speaker] + np.sqrt(1 - speaker_share) * noise


def evaluate(
    target: Scores, wrong: Scores, redrawn: np.ndarray, draws: SpeakerDraws, generator: np.random.Generator
) -> Draw:
    aurocs = labelled_aurocs(target.values, np.concatenate([target.members[None], redrawn]))
    untied = aurocs + 1e-9 * generator.random(len(aurocs))
    replicates = bootstrap_auroc(target.values, target.members, draws)
    lower, upper = auroc_interval(aurocs[0], replicates, target.values, target.members, draws)
    difference = versus_wrong_model(target, wrong, draws, replicates)
    two_sided = versus_wrong_model(replace(target, two_sided=True), wrong, draws, replicates)
    return Draw(
        p_value=p_value(NullDistribution(aurocs, two_sided=False)),
        untied_p_value=float(np.mean(untied >= untied[0])),
        two_sided_p_value=p_value(NullDistribution(aurocs, two_sided=True)),
        covers_chance=lower <= 0.5 <= upper,
        beats_wrong_model=difference.lower95 > 0,
        beats_wrong_model_two_sided=two_sided.lower95 > 0,
    )


def failed_checks(draws: pd.DataFrame) -> list[str]:
    n = len(draws)
    max_count = {rate: binom.ppf(1 - ALPHA, n, rate) for rate in (0.01, 0.05)}
    checks = {
        "p-values not uniform": kstest(draws["untied_p_value"], "uniform").pvalue < ALPHA,
        "p < .05 too often": (draws["p_value"] < 0.05).sum() > max_count[0.05],
        "p < .01 too often": (draws["p_value"] < 0.01).sum() > max_count[0.01],
        "two-sided p < .05 too often": (draws["two_sided_p_value"] < 0.05).sum() > max_count[0.05],
        "coverage": not MIN_COVERAGE <= draws["covers_chance"].mean() <= MAX_COVERAGE,
        "beats the wrong model too often": draws["beats_wrong_model"].sum() > max_count[0.05],
        "beats the wrong model too often, two-sided": draws["beats_wrong_model_two_sided"].sum() > max_count[0.05],
    }
    return [name for name, failed in checks.items() if failed]


def describe(draws: pd.DataFrame) -> str:
    below = [(draws["p_value"] < level).sum() for level in (0.05, 0.01)]
    uniform = kstest(draws["untied_p_value"], "uniform").pvalue
    two_sided = (draws["two_sided_p_value"] < 0.05).sum()
    beats = [draws[column].sum() for column in ("beats_wrong_model", "beats_wrong_model_two_sided")]
    p_values = f"{below[0]:5} {below[1]:5} {uniform:5.2f} {two_sided:13}"
    return f"{p_values} | {draws['covers_chance'].mean():8.3f} | {beats[0]:11} {beats[1]:7}"


if __name__ == "__main__":
    sys.exit(main())
