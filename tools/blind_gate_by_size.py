"""Count how often the blind baseline refuses drawn splits of few speakers.

OMP_NUM_THREADS=1 python tools/blind_gate_by_size.py

Each seed draws a speaker-level split of a corpus with one hundred statistics of noise. The clean split must be refused
about as often as the limit says. The same split with a complete confound must be refused: one statistic of the members
is shifted by ten standard deviations. (Eight units are the fewest of an utterance-level split; there is no verdict at
speaker level below 12 speakers.) Exit status 1 if of 12 or more speakers more than one confounded split in 60 is not
refused, or if clean splits are refused more often than the 99.9th percentile of a binomial with the limit.
"""

import argparse

import numpy as np
import pandas as pd
from scipy.stats import binom

from lightning_mia.evaluation.blind_verdict import drawn_limit
from lightning_mia.evaluation.verdict import MIN_SPEAKERS
from lightning_mia.splits import SpeakerDesign, Split
from lightning_mia.splits.blind_baseline.classifier import fit_blind_baseline
from lightning_mia.splits.blind_baseline.few_units import count_redraws

SIZES = (8, 12, 14, 16, 20, 40)  # speakers, half of them members
N_STATISTICS = 100
SHIFT = 10.0  # standard deviations
PER_SPEAKER = 4  # recordings
ALPHA = 0.001  # of these checks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=60, help="splits of each size")
    seeds = parser.parse_args().seeds
    print(
        f"| speakers | labellings | limit | confounded splits refused, of {seeds} | clean splits refused, of {seeds} |"
    )
    print(f"|{'---|' * 5}")
    passed = True
    for n_speakers in SIZES:
        refused = np.array([refusals(n_speakers, seed) for seed in range(seeds)]).sum(axis=0)
        n_labellings, limit = labellings(draw(n_speakers, 0)), drawn_limit(labellings(draw(n_speakers, 0)))
        print(f"| {n_speakers} | {n_labellings:,} | {limit:.4f} | {refused[0]} | {refused[1]} |", flush=True)
        passed &= n_speakers < MIN_SPEAKERS or refused[0] >= seeds * 59 / 60
        passed &= refused[1] <= binom.ppf(1 - ALPHA, seeds, limit)
    return 0 if passed else 1


def draw(n_speakers: int, seed: int) -> Split:
    ids = [f"{speaker:02d}/{clip}" for speaker in range(n_speakers) for clip in range(PER_SPEAKER)]
    table = pd.DataFrame({"id": ids, "speaker": [name.split("/")[0] for name in ids]})
    return SpeakerDesign(n_speakers, 0, 2, 2).draw(table, {name: name for name in ids}, seed=seed)


def labellings(split: Split) -> int:
    return split.count_labellings(list(split.challenge("speaker")["unit_id"].unique()), "speaker")


def refusals(n_speakers: int, seed: int) -> tuple[bool, bool]:
    """Return whether the confounded and the clean split of a seed are refused."""
    split = draw(n_speakers, seed)
    challenge = split.challenge("speaker")
    units = list(challenge["unit_id"].unique())
    redraws = split.redraw(units, "speaker", count_redraws(len(units), 1000), seed)
    rng = np.random.default_rng(seed)
    clean = pd.DataFrame(rng.normal(size=(len(challenge), N_STATISTICS)), index=challenge["id"])
    confounded = clean.copy()
    confounded[0] += SHIFT * challenge["member"].to_numpy()
    limit = drawn_limit(labellings(split))
    p_values = (fit_blind_baseline(table, challenge, redraws, "speaker").p_value for table in (confounded, clean))
    confounded_p, clean_p = p_values
    return confounded_p < limit, clean_p < limit


if __name__ == "__main__":
    raise SystemExit(main())
