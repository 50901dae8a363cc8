"""Measure relearning on several targets, without shadow models.

OMP_NUM_THREADS=1 python tools/relearning.py MANIFEST.csv --family tera --targets 4 --vary epochs 2 3 4 --run_dir R

Every target is trained on half of 400 other recordings, drawn anew, with a seed of its own, until the AUROC of its
pretext loss is near 0.7. Prints the mean and the standard deviation over targets of the AUROC of the pretext loss and
of relearning, and the mean TPR at an FPR of at most 1 %, for each value of the setting. What is finished in R is kept.
"""

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lightning_mia.attacks import Attack, PretextLoss, Relearn
from lightning_mia.audit.audit import Audit
from lightning_mia.audit.audit_run import AuditRun
from lightning_mia.audit.options import AuditOptions
from lightning_mia.corpora import Manifest
from lightning_mia.evaluation import Scores
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.roc import tpr_at_fpr
from lightning_mia.models import CPC, TERA, HuBERT, MelHuBERT, SpeechModel, Wav2Vec2
from lightning_mia.signals.relearning import Relearning
from lightning_mia.splits import UtteranceDesign
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.training.trainer_factory import TrainerFactory


@dataclass(frozen=True)
class Recipe:
    """Training of one family.

    Attributes:
        model: class and configuration.
        epochs: passes over the members.
        clip: maximum norm of the gradient.
    """

    model: SpeechModel
    epochs: int
    clip: float = 1.0


RECIPES = {
    "tera": Recipe(TERA(mask_probability=0.4, max_masked_bands=0, noise_probability=0.0), 100, 5.0),
    "mel_hubert": Recipe(MelHuBERT(learning_rate=2e-3), 14),
    "hubert": Recipe(HuBERT(learning_rate=2e-3), 30),
    "wav2vec2": Recipe(Wav2Vec2(), 35),
    "cpc": Recipe(CPC(), 40),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", help="manifest of real recordings")
    parser.add_argument("--family", choices=RECIPES, default="mel_hubert")
    parser.add_argument("--epochs", type=int, help="passes over the members, by default those of the family")
    parser.add_argument("--targets", type=int, default=4, help="number of targets")
    parser.add_argument("--n_units", type=int, default=400, help="candidates, half of them members")
    parser.add_argument("--vary", nargs="+", default=[], help="a setting of Relearning, and its values")
    parser.add_argument("--run_dir", default="runs/relearning")
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")
    recipe = RECIPES[options.family]
    recipe = replace(recipe, epochs=options.epochs or recipe.epochs)
    settings = variants(options.vary)
    attacks: list[Attack] = [PretextLoss(), *(Relearn(setting, label) for label, setting in settings.items())]
    scores = []
    for seed in range(1, options.targets + 1):
        folder = Path(options.run_dir) / f"{options.family}_{recipe.epochs}_{options.n_units}_{seed}"
        scores.append(attack_target(recipe, attacks, options.manifest, options.n_units, seed, folder))
    print("| attack | AUROC | TPR at 1 % |\n|---|---|---|")
    for name in scores[0]:
        print(row(name, [by_attack[name] for by_attack in scores]))
    return 0


def variants(vary: Sequence[str]) -> dict[str, Relearning]:
    """Make one setting per value; the key is a label.

    >>> list(variants(["epochs", "2", "4"]))
    ['epochs_2', 'epochs_4']
    """
    if not vary:
        return {"": Relearning()}
    name, *values = vary
    return {f"{name}_{value}": replace(Relearning(), **{name: yaml.safe_load(value)}) for value in values}


def attack_target(
    recipe: Recipe, attacks: Sequence[Attack], manifest: str, n_units: int, seed: int, folder: Path
) -> dict[str, Scores]:
    """Train a target, and attack it."""
    audit = open_audit(recipe, attacks, manifest, n_units, seed, folder)
    probed = audit.probe({"target": audit.run.fit_target()})["target"]
    return {score.name: score for score in probed.scored(attacks, audit.run.split, "utterance", "trained").scores}


def open_audit(
    recipe: Recipe, attacks: Sequence[Attack], manifest: str, n_units: int, seed: int, folder: Path
) -> Audit:
    """Draw a split, and describe the training of its target."""
    os.environ["PL_GLOBAL_SEED"] = str(seed)
    design = UtteranceDesign(n_units=n_units, n_auxiliary=200)
    data = SpeechDataModule(Manifest(manifest), design, split_seed=seed, batch_seconds=16)
    trainer: dict[str, Any] = {"max_epochs": recipe.epochs, "gradient_clip_val": recipe.clip, "logger": False}
    trainers = TrainerFactory({**trainer, "accelerator": "cpu", "devices": 1, "enable_progress_bar": False})
    options = AuditOptions(run_dir=str(folder), attacks=list(attacks))
    return Audit(AuditRun.open(recipe.model, data, trainers, options), options)


def row(name: str, scores: Sequence[Scores]) -> str:
    """Format mean and standard deviation over targets."""
    aurocs = [labelled_aurocs(score.values, score.members[None])[0] for score in scores]
    tpr = np.mean([tpr_at_fpr(score, 0.01).tpr for score in scores])
    spread = f" ± {np.std(aurocs, ddof=1):.3f}" if len(aurocs) > 1 else ""
    return f"| `{name}` | {np.mean(aurocs):.3f}{spread} | {tpr:.2f} |"


if __name__ == "__main__":
    sys.exit(main())
