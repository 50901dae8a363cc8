"""Check p-values and the coverage of all printed intervals on simulated scores.

OMP_NUM_THREADS=1 python tools/coverage.py
OMP_NUM_THREADS=1 python tools/coverage.py --rows 1-6  # the first six rows; the draws are those of the whole run

The first table has no membership signal: each design draws a split, and `Split.redraw` redraws its labels. Every draw
has new scores that are independent of the labels, a speaker effect plus noise. The second table has a known AUROC: each
speaker's members are higher by their own shift, whose standard deviation is `unequal` (that of a recording is 1).
`share` is the share of the speakers in the other variance. Scores of the wrong model have no shift and correlate with
the target's at one half.

A covered AUROC is the expected one, a covered TPR that of the population, and a covered difference that of target and
wrong model. `overshoot` counts lower bounds of the difference (one-sided, 95 %) above the true difference. Exit status
1 if

- p-values are not uniform (Kolmogorov-Smirnov, p < .001; ties are broken at random, since the AUROC of 12 speakers
  takes only 37 values), or are below .05 or .01 too often;
- an interval covers in fewer than 93 %;
- the lower bound of the difference is above the true one too often.

"Too often" means above the 99.9th percentile of a binomial with 5 % (or 1 %). Coverage above 97 % is no failure but
printed as "wide".
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import binom, kstest, norm
from tqdm import tqdm

from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.bootstrap import bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.difference import AurocDifference, auroc_difference
from lightning_mia.evaluation.statistics.intervals import t_quantile
from lightning_mia.evaluation.statistics.operating_points import OperatingPoints
from lightning_mia.evaluation.statistics.permutation import NullDistribution, p_value
from lightning_mia.splits import SpeakerDesign, Split, UtteranceDesign
from lightning_mia.splits.split import Level

CLIPS = 20  # per speaker
NULL_DESIGNS: list[tuple[Level, int, float]] = [  # level, speakers, share of the variance due to speakers
    *(("utterance", n_speakers, share) for n_speakers in (6, 10, 20) for share in (0.0, 0.2, 0.5)),
    *(("speaker", n_speakers, 0.5) for n_speakers in (12, 20, 40)),
]
FPRS = (0.01, 0.1)
MIN_COVERAGE, MAX_COVERAGE = 0.93, 0.97
ALPHA = 0.001  # of these checks
COVERAGES = ("AUROC", "TPR at 1 %", "TPR at 10 %", "difference")


@dataclass(frozen=True)
class Planted:
    """Speakers whose members are higher by their own shift.

    `sides`: "both" if each speaker has members and non-members, "one" if only one of them.
    """

    sides: str
    n_speakers: int
    clips: int  # mean number of recordings per speaker
    auroc: float
    share: float = 0.2
    unequal: float = 0.0
    uneven_clips: bool = False

    @property
    def voice(self) -> float:
        """Standard deviation of the speaker effects."""
        return float(np.sqrt(self.share / (1 - self.share)))

    @property
    def shift(self) -> float:
        """Mean shift, which gives the expected AUROC."""
        return float(brentq(lambda shift: self._expected_auroc(shift) - self.auroc, -1, 50))

    def tpr(self, fpr: float) -> float:
        """TPR of the population at an FPR of the population."""
        threshold = norm.isf(fpr) * np.sqrt(1 + self.voice**2)
        return float(norm.sf((threshold - self.shift) / np.sqrt(1 + self.voice**2 + self.unequal**2)))

    def draw(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return speaker, membership, and scores of target and wrong model, each (n,)."""
        clips = np.full(self.n_speakers, self.clips)
        if self.uneven_clips:
            clips = np.maximum(2, np.round(self.clips * generator.lognormal(-0.32, 0.8, self.n_speakers))).astype(int)
        speaker = np.repeat(np.arange(self.n_speakers), clips)
        if self.sides == "one":
            members = generator.permutation(np.arange(self.n_speakers) % 2 == 0)[speaker]
        else:
            members = np.concatenate([np.arange(n) < n // 2 for n in clips])
        shifts = self.shift + self.unequal * generator.normal(size=self.n_speakers)
        common, *noises = np.sqrt(0.5) * generator.normal(size=(3, len(speaker)))
        common += self.voice * generator.normal(size=self.n_speakers)[speaker]
        return speaker, members, common + noises[0] + shifts[speaker] * members, common + noises[1]

    def _expected_auroc(self, shift: float) -> float:
        within, between = (norm.cdf(shift / np.sqrt(2 + voice + self.unequal**2)) for voice in (0.0, 2 * self.voice**2))
        own = 1 / self.n_speakers if self.sides == "both" else 0.0  # share of the pairs within speakers
        return float(own * within + (1 - own) * between)


PLANTED = [
    *(
        Planted("both", n_speakers, CLIPS, auroc, unequal=unequal)
        for n_speakers in (6, 10, 20)
        for auroc, unequal in ((0.8, 0.0), (0.95, 0.0), (0.8, 1.0), (0.95, 1.0), (0.95, 2.0))
    ),
    Planted("both", 5, CLIPS, 0.95, unequal=2.0),
    Planted("both", 60, CLIPS, 0.95, unequal=2.0),
    Planted("both", 10, CLIPS, 0.9, share=0.5, unequal=2.0),
    Planted("both", 10, CLIPS, 0.95, unequal=1.0, uneven_clips=True),
    Planted("both", 20, CLIPS, 0.95, unequal=1.0, uneven_clips=True),
    *(Planted("one", n_speakers, 1, auroc, share=0.0) for n_speakers in (12, 40, 400) for auroc in (0.8, 0.95)),
    *(Planted("one", n_speakers, 10, 0.8, share=0.5) for n_speakers in (6, 12, 40)),
    *(Planted("one", n_speakers, 10, 0.95, unequal=2.0) for n_speakers in (12, 20, 40)),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n_draws", type=int, default=1000, help="draws per design")
    parser.add_argument("--rows", type=row_range, default=range(1, 10**6), help="rows of both tables, such as 5-12")
    parser.add_argument("--n_redraws", type=int, default=500, help="redraws per p-value")
    parser.add_argument("--n_bootstraps", type=int, default=300, help="bootstrap replicates per interval")
    arguments = parser.parse_args()
    passed = [*null_table(arguments), *planted_table(arguments)]
    return 0 if all(passed) else 1


def null_table(arguments: argparse.Namespace) -> Iterator[bool]:
    print_row(
        "level",
        "speakers",
        "share",
        "draws",
        "p < .05",
        "p < .01",
        "KS p",
        "two-sided p < .05",
        *COVERAGES,
        "overshoot",
        "",
    )
    print_row(*["---"] * 14)
    for row, (level, n_speakers, share) in enumerate(NULL_DESIGNS, start=1):
        if row not in arguments.rows:
            continue
        draws = pd.DataFrame(list(simulate_null(draw_split(level, n_speakers), level, share, arguments)))
        failures = [*failed_p_values(draws), *failed_intervals(draws)]
        below = [f"{(draws['p_value'] < alpha).mean():.3f}" for alpha in (0.05, 0.01)]
        uniform = kstest(draws["untied_p_value"], "uniform").pvalue
        two_sided = f"{(draws['two_sided_p_value'] < 0.05).mean():.3f}"
        counts = (*below, f"{uniform:.2f}", two_sided)
        print_row(level, n_speakers, share, len(draws), *counts, *describe(draws), remark(draws, failures))
        yield not failures
    print(flush=True)


def planted_table(arguments: argparse.Namespace) -> Iterator[bool]:
    print_row(
        "sides",
        "speakers",
        "recordings",
        "share",
        "unequal",
        "true AUROC",
        "draws",
        *COVERAGES,
        "overshoot",
        "width",
        "",
    )
    print_row(*["---"] * 14)
    for row, design in enumerate(PLANTED, start=len(NULL_DESIGNS) + 1):
        if row not in arguments.rows:
            continue
        draws = pd.DataFrame(list(simulate_planted(design, arguments)))
        failures = failed_intervals(draws)
        clips = f"{design.clips}, uneven" if design.uneven_clips else design.clips
        settings = (design.sides, design.n_speakers, clips, design.share, design.unequal, design.auroc)
        width = f"{draws['width'].mean():.2f}"
        print_row(*settings, len(draws), *describe(draws), width, remark(draws, failures))
        yield not failures


def draw_split(level: Level, n_speakers: int) -> Split:
    names = [f"speaker-{number:02d}" for number in range(n_speakers)]
    rows = [(f"{name}-{clip:02d}", name) for name in names for clip in range(CLIPS)]
    table = pd.DataFrame(rows, columns=["id", "speaker"])
    contents = {name: name for name in table["id"]}
    if level == "utterance":
        return UtteranceDesign(len(table), 0).draw(table, contents)
    return SpeakerDesign(n_speakers, 0, CLIPS // 2, CLIPS // 2).draw(table, contents)


def simulate_null(
    split: Split, level: Level, speaker_share: float, arguments: argparse.Namespace
) -> Iterator[dict[str, float]]:
    challenge = split.challenge(level).drop_duplicates("unit_id")
    units, speakers = challenge["unit_id"].to_list(), challenge["speaker"].to_numpy(str)
    generator = np.random.default_rng(len(units))
    observed = split.redraw(units, level, arguments.n_draws, seed=2**31)  # (draws, units)
    for seed, members in enumerate(tqdm(observed, leave=False, disable=not sys.stderr.isatty())):
        common, target_noise, wrong_noise = (null_scores(speakers, speaker_share, generator) for _ in range(3))
        labels = np.concatenate([members[None], split.redraw(units, level, arguments.n_redraws, seed)])
        aurocs = labelled_aurocs(common + target_noise, labels)
        untied = aurocs + 1e-9 * generator.random(len(aurocs))
        yield {
            "p_value": p_value(NullDistribution(aurocs, two_sided=False)),
            "untied_p_value": float(np.mean(untied >= untied[0])),
            "two_sided_p_value": p_value(NullDistribution(aurocs, two_sided=True)),
            **covered(speakers, members, common + target_noise, common + wrong_noise, 0.5, FPRS, arguments, seed),
        }


def simulate_planted(design: Planted, arguments: argparse.Namespace) -> Iterator[dict[str, float]]:
    generator = np.random.default_rng(design.n_speakers)
    tprs = tuple(design.tpr(fpr) for fpr in FPRS)
    for seed in tqdm(range(arguments.n_draws), leave=False, disable=not sys.stderr.isatty()):
        speaker, members, target, wrong = design.draw(generator)
        yield covered(speaker.astype(str), members, target, wrong, design.auroc, tprs, arguments, seed)


def null_scores(speakers: np.ndarray, speaker_share: float, generator: np.random.Generator) -> np.ndarray:
    names, speaker = np.unique(speakers, return_inverse=True)
    speaker_effects, noise = generator.normal(size=len(names)), generator.normal(size=len(speakers))
    return np.sqrt(speaker_share) * speaker_effects[speaker] + np.sqrt(1 - speaker_share) * noise


def covered(
    speakers: np.ndarray,
    members: np.ndarray,
    target: np.ndarray,
    wrong: np.ndarray,
    auroc: float,
    tprs: tuple[float, ...],
    arguments: argparse.Namespace,
    seed: int,
) -> dict[str, float]:
    """Test which intervals of one draw cover the true value."""
    draws = draw_speakers(speakers, members, arguments.n_bootstraps, seed)
    aurocs = [float(labelled_aurocs(values, members[None])[0]) for values in (target, wrong)]
    replicates = [bootstrap_auroc(values, members, draws) for values in (target, wrong)]
    difference: AurocDifference = auroc_difference(
        aurocs[0], aurocs[1], replicates[0], replicates[1], target, wrong, members, draws
    )
    quantile, one_sided = (t_quantile(probability, draws.degrees_of_freedom) for probability in (0.975, 0.95))
    points = OperatingPoints.of(target, members, speakers)
    lower, upper = difference.first.bounds(quantile)
    intervals = [(lower, upper), *(points.tpr_interval(fpr) for fpr in FPRS), difference.bounds(quantile)]
    truths = (auroc, *tprs, auroc - 0.5)
    return {
        **{name: low <= truth <= high for name, (low, high), truth in zip(COVERAGES, intervals, truths, strict=True)},
        "overshoot": difference.lower(one_sided) > auroc - 0.5,
        "width": upper - lower,
    }


def failed_p_values(draws: pd.DataFrame) -> list[str]:
    checks = {
        "p-values not uniform": kstest(draws["untied_p_value"], "uniform").pvalue < ALPHA,
        "p < .05 too often": too_often(draws["p_value"] < 0.05, 0.05),
        "p < .01 too often": too_often(draws["p_value"] < 0.01, 0.01),
        "two-sided p < .05 too often": too_often(draws["two_sided_p_value"] < 0.05, 0.05),
    }
    return [name for name, failed in checks.items() if failed]


def failed_intervals(draws: pd.DataFrame) -> list[str]:
    failures = [f"{name} not covered" for name in COVERAGES if draws[name].mean() < MIN_COVERAGE]
    return [*failures, *(["overshoot"] if too_often(draws["overshoot"], 0.05) else [])]


def too_often(events: pd.Series, rate: float) -> bool:
    return bool(events.sum() > binom.ppf(1 - ALPHA, len(events), rate))


def describe(draws: pd.DataFrame) -> list[str]:
    return [f"{draws[column].mean():.3f}" for column in (*COVERAGES, "overshoot")]


def remark(draws: pd.DataFrame, failures: list[str]) -> str:
    wide = [name for name in COVERAGES if draws[name].mean() > MAX_COVERAGE]
    return ", ".join([*(failure.upper() for failure in failures), *(["wide: " + ", ".join(wide)] if wide else [])])


def row_range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def print_row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
