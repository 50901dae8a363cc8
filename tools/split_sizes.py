"""Measure which sizes of user-supplied splits can be assessed.

OMP_NUM_THREADS=1 python tools/split_sizes.py MANIFEST.csv

Real recordings get random labels, as if a user had supplied a clean split: of recordings of the same speakers, and of
recordings of different speakers, which are also evaluated at speaker level. For each size, the share of clean splits
that the blind baseline refuses is counted over the redraws of several such splits. The smallest AUROC that an attack
reaches with 80 % power counts the difference to a wrong model, without which there is no `leak`.
"""

import argparse
import logging
from collections.abc import Iterator

import numpy as np
import pandas as pd
from tqdm import tqdm

from lightning_mia.audit.blind_baselines import BlindBaselines, blind_baselines
from lightning_mia.audit.blind_kinds import blind_kinds
from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.evaluation import Context, EvaluationSettings, Scores, evaluate_scores
from lightning_mia.evaluation.clean_splits import HIGH_SHARE
from lightning_mia.splits import Split, predefined

SIZES = (12, 25, 50, 100, 200, 300, 400, 600)  # recordings a side
SPEAKERS = (6, 12, 25, 40, 100, 200, 300, 600)  # speakers a side
SETTINGS = EvaluationSettings()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", help="manifest of real recordings")
    parser.add_argument("--draws", type=int, default=3, help="splits of each size")
    arguments = parser.parse_args()
    logging.getLogger("lightning_mia").setLevel(logging.ERROR)
    table = Manifest(arguments.manifest).table()
    audio = decode(table)
    rows: list[dict[str, object]] = []
    for (design, sizes), draw in tqdm(
        [((design, sizes), draw) for design, sizes in DESIGNS for draw in range(arguments.draws)], desc="Splits"
    ):
        for size in sizes:
            members = design(table, size, np.random.default_rng([size, draw]))
            if members is not None:
                split = predefined(members, audio.contents)
                rows += measure(split, blind_baselines(blind_kinds(split, audio, members), split, SETTINGS), draw)
    report(pd.DataFrame(rows))
    return 0


def same_speakers(table: pd.DataFrame, size: int, rng: np.random.Generator) -> pd.DataFrame | None:
    """Divide recordings of every speaker; None if there are too few."""
    n_speakers = min(table["speaker"].nunique(), size)
    chosen = table[table["speaker"].isin(rng.choice(table["speaker"].unique(), n_speakers, replace=False))]
    per_speaker = -(-size // n_speakers) * 2
    if chosen.groupby("speaker").size().min() < per_speaker:
        return None
    rows = chosen.groupby("speaker").sample(per_speaker, random_state=rng)
    rows = rows.assign(member=["1", "0"] * (len(rows) // 2))
    return rows.groupby("member").head(size)


def different_speakers(table: pd.DataFrame, size: int, rng: np.random.Generator) -> pd.DataFrame | None:
    """Make half of the speakers members; None if there are too few."""
    speakers = table["speaker"].unique()
    if len(speakers) < 2 * size:
        return None
    chosen = rng.choice(speakers, 2 * size, replace=False)
    rows = table[table["speaker"].isin(chosen)]
    return rows.assign(member=np.where(rows["speaker"].isin(chosen[:size]), "1", "0"))


DESIGNS = ((same_speakers, SIZES), (different_speakers, SPEAKERS))


def measure(split: Split, blind: BlindBaselines, draw: int) -> Iterator[dict[str, object]]:
    """Yield one row per level."""
    for (level, part), ((scores, baseline), *_) in blind.items():
        if part != split.parts(level)[0]:
            continue
        rng = np.random.default_rng([draw, len(scores)])
        target, wrong = (noise(scores, rng) for _ in range(2))
        (attack,) = evaluate_scores([target], split.redraw, SETTINGS, {target.key: Context(wrong_model=wrong)})
        yield {
            "level": level,
            "speakers": "one side" if "speaker" in split.levels else "both sides",
            "n_members": scores.n_members,
            "n_speakers": baseline.result.n_speakers,
            "refused": baseline.clean_refused,
            "needed": scores.n_members * baseline.growth_needed,
            "detectable": attack.smallest_detectable_auroc,
        }


def noise(scores: Scores, rng: np.random.Generator) -> Scores:
    """Simulate an attack on a model that was trained on none of the units."""
    return Scores(
        "attack",
        scores.level,
        "grey-box",
        False,
        scores.unit_ids,
        scores.speakers,
        scores.members,
        rng.normal(size=len(scores)),
    )


def report(rows: pd.DataFrame) -> None:
    """Print one line per level and size, and the smallest that can be assessed."""
    keys = ["level", "speakers", "n_members"]
    means = rows.groupby(keys, sort=False).mean().reset_index().sort_values(keys, ascending=[False, True, True])
    print("| level | speakers stand on | a side | speakers | clean splits refused | to bring | smallest AUROC |")
    print(f"|{'---|' * 7}")
    for row in means.to_dict("records"):
        unit = "speakers" if row["level"] == "speaker" else "recordings"
        needed = f"{row['needed']:.0f}" if row["needed"] > row["n_members"] else "–"
        print(
            f"| {row['level']} | {row['speakers']} | {row['n_members']} {unit} | {row['n_speakers']:.0f} "
            f"| {row['refused']:.1%} | {needed} | {row['detectable']:.2f} |"
        )
    for _, group in means.groupby(["level", "speakers"], sort=False):
        last, enough = group.iloc[-1], group[group["refused"] <= HIGH_SHARE]["n_members"]
        smallest = f"{enough.min()} a side" if len(enough) else f"none of these; about {last['needed']:.0f} a side"
        print(f"smallest size at {last['level']} level, speakers on {last['speakers']}: {smallest}")


if __name__ == "__main__":
    raise SystemExit(main())
