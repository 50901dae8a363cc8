"""Count the split seeds that pass the blind baseline.

OMP_NUM_THREADS=1 python tools/blind_gate.py                        corpus and design of the demo
OMP_NUM_THREADS=1 python tools/blind_gate.py --manifest corpus.csv  the same design on real speech

Recordings' statistics do not depend on the split, so they are computed once; each seed draws a split, redraws its
labels and refits the classifier. Exit status 1 if fewer than 95 % of the seeds pass.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from jsonargparse import ArgumentParser
from tqdm import tqdm

from lightning_mia.corpora import Corpus, Manifest
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.evaluation.blind_verdict import drawn_limit
from lightning_mia.splits import Design, Split
from lightning_mia.splits.blind_baseline.classifier import BlindBaseline, fit_blind_baseline
from lightning_mia.splits.blind_baseline.few_units import count_redraws
from lightning_mia.splits.blind_baseline.statistics import blind_statistics

DEMO = Path(__file__).parents[1] / "configs" / "audit" / "demo.yaml"


def main() -> int:
    arguments = _parse()
    corpus, design = _load_config(arguments.config)
    if arguments.manifest:
        corpus = Manifest(arguments.manifest)
    table = corpus.table()
    audio = decode(table)
    statistics = blind_statistics(audio, list(table["id"]))
    contents = dict(zip(audio.index.index.astype(str), audio.index["sha256"], strict=True))
    splits = [design.draw(table, contents, seed=seed) for seed in range(arguments.seeds)]
    controls = [
        _control(split, statistics, arguments.n_redraws, seed)
        for seed, split in enumerate(tqdm(splits, desc="Seeds", unit="split"))
    ]
    limit = drawn_limit(splits[0].count_labellings(_units(splits[0]), splits[0].level))
    return _report(controls, limit, arguments.out)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=DEMO, help="audit config with the corpus and the design")
    parser.add_argument("--manifest", help="manifest of another corpus")
    parser.add_argument("--n_redraws", type=int, default=1000, help="label redraws per split")
    parser.add_argument("--seeds", type=int, default=100, help="number of split seeds: 0, 1, …")
    parser.add_argument("--out", type=Path, help="CSV file for the p-value and AUROC of every seed")
    return parser.parse_args()


def _load_config(path: Path) -> tuple[Corpus, Design]:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))["data"]
    parser = ArgumentParser()
    parser.add_argument("--corpus", type=Corpus)
    parser.add_argument("--design", type=Design)
    config = parser.instantiate_classes(parser.parse_object({key: data[key] for key in ("corpus", "design")}))
    return config.corpus, config.design


def _control(split: Split, statistics: pd.DataFrame, n_redraws: int, seed: int) -> BlindBaseline:
    challenge = split.challenge(split.level)
    units = _units(split)
    redraws = split.redraw(units, split.level, count_redraws(len(units), n_redraws), seed)
    return fit_blind_baseline(statistics, challenge, redraws, split.level)


def _units(split: Split) -> list[str]:
    return list(split.challenge(split.level)["unit_id"].unique())


def _report(controls: list[BlindBaseline], limit: float, out: Path | None) -> int:
    from scipy.stats import kstest

    p_values = np.array([control.p_value for control in controls])
    aurocs = np.array([control.aurocs[0] for control in controls])
    if out:
        table = pd.DataFrame({"seed": range(len(controls)), "p_value": p_values, "auroc": aurocs})
        table.to_csv(out, index=False)
    passed = int((p_values >= limit).sum())
    print(f"{len(controls[0].scores)} units per split, {len(controls[0].redrawn_aurocs)} redraws")
    print(f"blind baseline passed (blind p ≥ {limit:.2g}): {passed} of {len(controls)} seeds")
    print(f"warnings (blind p < .05): {(p_values < 0.05).sum()}; expected by chance: {0.05 * len(controls):.0f}")
    print(f"p-values: minimum {p_values.min():.3f}; test of uniformity p = {kstest(p_values, 'uniform').pvalue:.2f}")
    print(f"blind AUROC: mean {aurocs.mean():.3f}, standard deviation {aurocs.std():.3f}")
    return 0 if passed >= 0.95 * len(controls) else 1


if __name__ == "__main__":
    raise SystemExit(main())
