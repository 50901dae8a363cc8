"""What the public base of a checkpoint buys as its only reference model.

python -m tools.external_fine_tuning MANIFEST.csv FOLDER

1. Pretrains a small wav2vec 2.0 with transformers and PyTorch alone on recordings that no split holds: the base.
2. Draws splits of other recordings with `lightning-mia split`, one for each target.
3. Continues the pretraining of the base on the target's list of each split.
4. Audits each target, with the base as `--fleet.references`.

Prints a Markdown table: AUROC and TPR at 1 % FPR, mean ± standard deviation over targets.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from transformers import Wav2Vec2ForPreTraining

from tools.external_training import RATE, audit, lightning_mia, new_model, save, train

KIND = "pretraining"
ATTACKS = [
    "UtteranceSimilarity",
    "PretextLoss",
    "CalibratedLoss",
    {"class_path": "RMIA", "init_args": {"online": False}},
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path, help="manifest of recordings of 1 s, 16 kHz")
    parser.add_argument("folder", type=Path, help="folder to write")
    parser.add_argument("--n_targets", type=int, default=5, help="draws, with one target each")
    parser.add_argument("--n_base", type=int, default=200, help="recordings that the base is pretrained on")
    parser.add_argument("--n_pool", type=int, default=400, help="other recordings, from which the splits are drawn")
    parser.add_argument("--n_units", type=int, default=160, help="members and non-members of a split")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the recordings, for base and targets")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.read_csv(arguments.manifest, dtype=str, keep_default_na=False)
    table["path"] = [str((arguments.manifest.parent / path).resolve()) for path in table["path"]]
    table = table.iloc[np.random.default_rng(0).permutation(len(table))]
    pool = folder / "pool.csv"
    table.iloc[arguments.n_base : arguments.n_base + arguments.n_pool].to_csv(pool, index=False)
    base = folder / "base"
    fit(new_model(KIND, 0), table["path"].iloc[: arguments.n_base], arguments.epochs, base)
    audits = []
    for number in range(arguments.n_targets):
        split, target = folder / f"split_{number}" / "S", folder / f"target_{number}"
        sizes = ["--n_units", str(arguments.n_units), "--n_auxiliary", "40"]
        lightning_mia("split", str(pool), "--out", str(split), *sizes, "--seed", str(number), "--formats", "csv")
        members = pd.read_csv(split / "train" / "target.csv", dtype=str)["path"]
        fit(Wav2Vec2ForPreTraining.from_pretrained(base), members, arguments.epochs, target)
        audits.append(audit(ATTACKS, split, target, ["--fleet.references", f'["{base}"]']))
    print("\n".join(table_of(audits)))


def fit(model: Any, paths: pd.Series, epochs: int, folder: Path) -> None:
    """Train a model on recordings, unless it is there."""
    if not (folder / "model.safetensors").exists():
        waveforms = [soundfile.read(path, dtype="float32")[0] for path in paths]
        save(train(model, waveforms, epochs, RATE), KIND, folder)


def table_of(audits: Sequence[dict[str, Any]]) -> list[str]:
    """Make a Markdown table: one row for each attack."""
    rows = []
    for name in dict.fromkeys(attack["name"] for results in audits for attack in results["attacks"]):
        attacks = [attack for results in audits for attack in results["attacks"] if attack["name"] == name]
        rates = [point["tpr"] for attack in attacks for point in attack["tpr_at_fpr"] if point["fpr"] == 0.01]
        found = sum((attack["p_value_corrected"] or attack["p_value"]) < 0.05 for attack in attacks)
        aurocs = [attack["auroc"] for attack in attacks]
        rows.append([f"`{name}`", spread(aurocs), spread(rates), f"{found} of {len(attacks)}"])
    heading = ["attack", "AUROC", "TPR at 1 % FPR", "targets with corrected p < .05"]
    return ["| " + " | ".join(cells) + " |" for cells in (heading, ["---"] * len(heading), *rows)]


def spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"


if __name__ == "__main__":
    main()
