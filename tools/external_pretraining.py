"""Pretrain a small wav2vec 2.0 with transformers alone.

python -m tools.external_pretraining MANIFEST.csv FOLDER

Draws 200 members, 200 non-members and 200 auxiliary recordings. Writes FOLDER/target, trained on the members,
FOLDER/wrong_model, trained on the auxiliary recordings, and FOLDER/members.csv, a manifest with the column `member`:

lightning-mia attack -c configs/attack/checkpoint.yaml --model.checkpoint FOLDER/target --run_dir R \
    --controls.wrong_model_checkpoint FOLDER/wrong_model --data.corpus.path FOLDER/members.csv \
    --data.batch_seconds 16 --attacks "[Relearn, PretextLoss]"

The training is that of `tools.external_training`: nothing of it but the weights is known to the audit.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from tools.external_training import RATE, new_model, save, train

ROLES = {"1": "members", "0": "non-members", "": "auxiliary"}
KIND = "pretraining"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path, help="manifest of recordings of 1 s, 16 kHz")
    parser.add_argument("folder", type=Path, help="folder to write")
    parser.add_argument("--n_members", type=int, default=200, help="members, non-members and auxiliary recordings each")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the members")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw and the training")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    table = draw(arguments.manifest, arguments.n_members, arguments.seed)
    table.to_csv(arguments.folder / "members.csv", index=False)
    for name, member in (("target", "1"), ("wrong_model", "")):
        paths = table["path"][table["member"] == member]
        waveforms = [soundfile.read(path, dtype="float32")[0] for path in paths]
        model = train(new_model(KIND, arguments.seed), waveforms, arguments.epochs, RATE)
        save(model, KIND, arguments.folder / name)


def draw(manifest: Path, n: int, seed: int) -> pd.DataFrame:
    """Draw recordings, and label them with their role."""
    table = pd.read_csv(manifest, dtype=str)
    drawn = table.iloc[np.random.default_rng(seed).permutation(len(table))[: len(ROLES) * n]].reset_index(drop=True)
    drawn["member"] = np.repeat(list(ROLES), n)[: len(drawn)]
    drawn["path"] = [str((manifest.parent / path).resolve()) for path in drawn["path"]]
    return drawn


if __name__ == "__main__":
    main()
