"""Check that attacks on an untrained encoder give uniform p-values.

OMP_NUM_THREADS=1 python tools/null_of_checkpoint.py MANIFEST.csv

A small wav2vec 2.0 with random weights, saved by transformers, is audited like any checkpoint at utterance and at
speaker level. Signals and scores are computed once; then the labels of the split are redrawn 200 times, and each
attack's p-value is computed against 1,000 further redraws. Exit status 1 if p-values are not uniform
(Kolmogorov-Smirnov, p < .001, ties broken at random), or are below .05 more often than the 99.9th percentile of a
binomial with 5 %.
"""

import argparse
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import binom, kstest

from lightning_mia.attacks import (
    Attack,
    LearnedSpeakerSimilarity,
    LearnedUtteranceSimilarity,
    PretextLoss,
    SpeakerSimilarity,
    UtteranceSimilarity,
)
from lightning_mia.attacks.classifiers.fit import FitSettings
from lightning_mia.audit.audit import Audit
from lightning_mia.audit.audit_run import AuditRun
from lightning_mia.audit.options import AuditOptions
from lightning_mia.corpora import Manifest
from lightning_mia.evaluation import Scores
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.permutation import NullDistribution, p_value
from lightning_mia.models import PretrainedEncoder
from lightning_mia.splits import Design, SpeakerDesign, Split, UtteranceDesign
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.training.trainer_factory import TrainerFactory

DESIGNS: list[Design] = [UtteranceDesign(400, 200), SpeakerDesign(16, 4, 10, 10)]
ATTACKS: list[Attack] = [
    UtteranceSimilarity(),
    LearnedUtteranceSimilarity(fit=FitSettings(learning_rate=1e-3)),
    PretextLoss(),
    SpeakerSimilarity(),
    LearnedSpeakerSimilarity(fit=FitSettings(learning_rate=1e-3)),
]
ALPHA = 0.001  # of these checks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", help="manifest of real recordings")
    parser.add_argument("--n_draws", type=int, default=200, help="label draws per attack")
    parser.add_argument("--n_redraws", type=int, default=1000, help="redraws per p-value")
    arguments = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")
    passed = True
    print(f"{'attack':36} {'level':9} {'draws':>5} {'p<.05':>5} {'p<.01':>5} {'KS p':>5}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_random_checkpoint(folder / "checkpoint")
        for number, design in enumerate(DESIGNS):
            split, scores = compute_scores(folder / str(number), folder / "checkpoint", arguments.manifest, design)
            for attack in scores:
                passed &= report(split, attack, arguments.n_draws, arguments.n_redraws)
    return 0 if passed else 1


def write_random_checkpoint(folder: Path) -> None:
    """Save a small random wav2vec 2.0 with its pretext heads."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForPreTraining

    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        conv_dim=[32] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        num_codevectors_per_group=32,
        codevector_dim=32,
        proj_codevector_dim=32,
    )
    Wav2Vec2ForPreTraining(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(folder)


def compute_scores(run_dir: Path, checkpoint: Path, manifest: str, design: Design) -> tuple[Split, list[Scores]]:
    """Compute every attack's scores, which are independent of the labels."""
    model = PretrainedEncoder(checkpoint=str(checkpoint))
    trainers = TrainerFactory({"accelerator": "cpu", "devices": 1, "enable_progress_bar": False})
    options = AuditOptions(run_dir=str(run_dir), attacks=ATTACKS)
    run = AuditRun.open(model, SpeechDataModule(Manifest(manifest), design), trainers, options)
    probed = Audit(run, options).probe({"target": run.external.as_constructed(run.model)})["target"]
    split = run.split
    part = split.parts(split.level)[0]
    scored = probed.scored(ATTACKS, split, split.level, part)
    for reason in scored.skipped:
        print(reason, file=sys.stderr)
    return split, scored.scores


def report(split: Split, scores: Scores, n_draws: int, n_redraws: int) -> bool:
    """Print an attack's counts and return whether they pass."""
    units = scores.unit_ids.tolist()
    generator = np.random.default_rng(len(units))
    p_values, untied = [], []
    for seed, labels in enumerate(split.draw_labels(units, scores.level, n_draws, seed=2**31)):
        redrawn = split.redraw(units, scores.level, n_redraws, seed, observed=labels)
        aurocs = labelled_aurocs(scores.values, np.concatenate([labels[None], redrawn]))
        p_values.append(p_value(NullDistribution(aurocs, scores.two_sided)))
        distance = np.abs(aurocs - 0.5) if scores.two_sided else aurocs
        distance = distance + 1e-9 * generator.random(len(aurocs))
        untied.append(float(np.mean(distance >= distance[0])))
    below = [int(np.sum(np.array(p_values) < level)) for level in (0.05, 0.01)]
    uniform = kstest(untied, "uniform").pvalue
    print(f"{scores.name:36} {scores.level:9} {n_draws:5} {below[0]:5} {below[1]:5} {uniform:5.2f}", flush=True)
    return bool(uniform >= ALPHA and below[0] <= binom.ppf(1 - ALPHA, n_draws, 0.05))


if __name__ == "__main__":
    sys.exit(main())
