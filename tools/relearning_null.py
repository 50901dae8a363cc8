"""Check that relearning gives uniform p-values on models that saw no candidate.

OMP_NUM_THREADS=1 python -m tools.relearning_null MANIFEST.csv

Every model is a small TERA with its own seed and split: every second one untrained, the others trained on the
auxiliary recordings alone. Each is relearned on 60 members and 60 non-members, and the p-values of the pretext loss and
of relearning are computed against 1,000 redraws. Exit status 1 if p-values are not uniform (Kolmogorov-Smirnov,
p < .001), or are below .05 more often than the 99.9th percentile of a binomial with 5 %.
"""

import argparse
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import binom, kstest
from tqdm import tqdm

from lightning_mia.attacks import Relearn
from lightning_mia.audit.audit_run import AuditRun
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.permutation import NullDistribution, p_value
from lightning_mia.models import TERA, SpeechModel
from lightning_mia.signals.relearning import Relearning
from tools.relearning import Recipe, open_audit
from tools.relearning_maps import Target

RECIPE = Recipe(TERA(mask_probability=0.4, max_masked_bands=0, noise_probability=0.0, dim=32, n_layers=1), 10, 5.0)
SETTINGS = Relearning(n_masks=4, fill_to=0)
N_UNITS = 120
ALPHA = 0.001


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", help="manifest of real recordings")
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--n_redraws", type=int, default=1000)
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")
    rows = [measure(options.manifest, seed, options.n_redraws) for seed in tqdm(range(options.models), unit="model")]
    print("| model | attack | n | mean AUROC | sd | p < .05 | KS p |\n|---|---|---|---|---|---|---|")
    passed = [
        report(kind, name, np.array([row[name] for row in rows[number::2]]))
        for number, kind in enumerate(("untrained", "wrong model"))
        for name in ("loss", "relearn")
    ]
    return int(not all(passed))


def measure(manifest: str, seed: int, n_redraws: int) -> dict[str, tuple[float, float]]:
    """Return AUROC and p-value of the pretext loss and of relearning for one model."""
    with tempfile.TemporaryDirectory() as folder:
        run = open_audit(RECIPE, [Relearn()], manifest, N_UNITS, seed, Path(folder)).run
        model = control(run, is_trained=seed % 2 == 1)
        scores, _ = Target(run, model).relearn(SETTINGS, run.split.candidates()["utterance"])
    units = list(scores.index)
    observed = run.split.challenge("utterance", "trained").set_index("id")["member"].loc[units].to_numpy(bool)
    labels = np.concatenate([observed[None], run.split.redraw(units, "utterance", n_redraws, seed)])
    nulls = {name: labelled_aurocs(scores[name].to_numpy(), labels) for name in ("loss", "relearn")}
    return {name: (float(null[0]), p_value(NullDistribution(null, two_sided=False))) for name, null in nulls.items()}


def control(run: AuditRun, is_trained: bool) -> SpeechModel:
    """Return the wrong model or the untrained one."""
    trained = run.fit_wrong_model() if is_trained else run.fit_untrained()
    assert trained is not None  # there are auxiliary recordings
    return trained.model


def report(kind: str, name: str, figures: np.ndarray) -> bool:
    """Print a row, and return whether it passes."""
    aurocs, p_values = figures.T
    below, uniform = int((p_values < 0.05).sum()), kstest(p_values, "uniform").pvalue
    print(f"| {kind} | {name} | {len(aurocs)} | {aurocs.mean():.3f} | {aurocs.std():.3f} | {below} | {uniform:.2f} |")
    return bool(uniform >= ALPHA and below <= binom.ppf(1 - ALPHA, len(aurocs), 0.05))


if __name__ == "__main__":
    sys.exit(main())
