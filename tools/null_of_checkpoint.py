"""Attack an encoder that was never trained, on redrawn splits of real recordings: p-values have to be uniform.

OMP_NUM_THREADS=1 python tools/null_of_checkpoint.py MANIFEST.csv

A small wav2vec 2.0 with random weights is written by transformers and audited as any checkpoint is, at utterance and
at speaker level. Its signals, and the scores of the attacks that learn, are computed once; then the split's labels are
redrawn 200 times, and each time an attack's p-value is computed against 1,000 further redraws. Exits with 1 where
p-values are not uniform (Kolmogorov-Smirnov, p < .001, ties broken at random) or too often below .05 (more often than a
true 5 % would be in 999 of 1,000 such counts).
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
SURE = 0.001


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest")
    parser.add_argument("--n_draws", type=int, default=200)
    parser.add_argument("--n_redraws", type=int, default=1000)
    arguments = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")
    good = True
    print(f"{'attack':36} {'level':9} {'draws':>5} {'p<.05':>5} {'p<.01':>5} {'KS p':>5}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_random_checkpoint(folder / "checkpoint")
        for number, design in enumerate(DESIGNS):
            split, scores = scores_of(folder, arguments.manifest, design, number)
            for one in scores:
                good &= report(split, one, arguments.n_draws, arguments.n_redraws)
    return 0 if good else 1


def write_random_checkpoint(folder: Path) -> None:
    """A small wav2vec 2.0 with its pretraining heads, as transformers saves it."""
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


def scores_of(folder: Path, manifest: str, design: Design, number: int) -> tuple[Split, list[Scores]]:
    """Every attack's scores of the judged units; they know nothing of the labels."""
    model = PretrainedEncoder(checkpoint=str(folder / "checkpoint"))
    trainers = TrainerFactory({"accelerator": "cpu", "devices": 1, "enable_progress_bar": False})
    options = AuditOptions(run_dir=str(folder / str(number)), attacks=ATTACKS)
    run = AuditRun.open(model, SpeechDataModule(Manifest(manifest), design), trainers, options)
    probed = Audit(run, options).probe({"target": run.as_constructed(run.model)})["target"]
    split = run.split
    part = split.parts(split.level)[0]
    scored = probed.scored(ATTACKS, split, split.level, part)
    for reason in scored.skipped:
        print(reason, file=sys.stderr)
    return split, scored.scores


def report(split: Split, scores: Scores, n_draws: int, n_redraws: int) -> bool:
    """Print the counts of one attack; whether they are as they should be."""
    units = scores.unit_ids.tolist()
    generator = np.random.default_rng(len(units))
    plain, untied = [], []
    for seed, labels in enumerate(split.redraw(units, scores.level, n_draws, seed=2**31)):
        redrawn = split.redraw(units, scores.level, n_redraws, seed)
        aurocs = labelled_aurocs(scores.values, np.concatenate([labels[None], redrawn]))
        plain.append(p_value(NullDistribution(aurocs, scores.two_sided)))
        distance = np.abs(aurocs - 0.5) if scores.two_sided else aurocs
        distance = distance + 1e-9 * generator.random(len(aurocs))
        untied.append(float(np.mean(distance >= distance[0])))
    below = [int(np.sum(np.array(plain) < level)) for level in (0.05, 0.01)]
    uniform = kstest(untied, "uniform").pvalue
    print(f"{scores.name:36} {scores.level:9} {n_draws:5} {below[0]:5} {below[1]:5} {uniform:5.2f}", flush=True)
    return bool(uniform >= SURE and below[0] <= binom.ppf(1 - SURE, n_draws, 0.05))


if __name__ == "__main__":
    sys.exit(main())
