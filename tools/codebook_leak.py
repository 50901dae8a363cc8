"""Measure whether HuBERT's clusters alone reveal what they were fitted on.

OMP_NUM_THREADS=1 python tools/codebook_leak.py MANIFEST.csv

Clusters of MFCC frames are fitted on random halves of a challenge set, as for a target and its shadow models, but
nothing is trained. A recording's inertia is the mean squared distance of its frames to the nearest centroids; clusters
that have memorised their training set have a lower one there. Printed is the AUROC of the negative inertia for the
recordings that the clusters were fitted on (mean ± standard deviation over all clusters): as it is, and relative to the
mean under the clusters of other pairs that were fitted without the recording.
"""

import argparse

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.models.layers.features import LogMel
from lightning_mia.models.objectives.kmeans_targets import MFCCClusters
from lightning_mia.splits import UtteranceDesign

N_MELS = 40


def inertia(clusters: MFCCClusters, frames: Tensor) -> float:
    """Mean squared distance of MFCC frames (frames, 39) to their centroids."""
    standardised = (frames - clusters.mean) / clusters.scale
    return float(torch.cdist(standardised, clusters.centroids).amin(dim=1).square().mean())


def aurocs(inertias: np.ndarray, members: np.ndarray) -> tuple[list[float], list[float]]:
    """AUROC of every codebook's training set by negative inertia.

    Args:
        inertias: (codebooks, recordings); two consecutive codebooks are a pair.
        members: (codebooks, recordings) bool, whether it was fitted on the recording.

    Returns:
        Of the inertia as it is, and relative to other pairs.
    """
    pairs = np.arange(len(members)) // 2
    alone, relative = [], []
    for k, own in enumerate(members):
        out = ~members & (pairs != pairs[k])[:, None]  # one of every other pair
        expected = (inertias * out).sum(axis=0) / out.sum(axis=0)
        alone.append(float(roc_auc_score(own, -inertias[k])))
        relative.append(float(roc_auc_score(own, expected - inertias[k])))
    return alone, relative


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", help="manifest of real recordings")
    parser.add_argument("--n_units", type=int, default=400, help="challenge recordings, half of them fitted on")
    parser.add_argument("--n_clusters", type=int, default=50)
    parser.add_argument("--codebooks", type=int, default=16, help="even: they come in complementary pairs")
    arguments = parser.parse_args()
    table = Manifest(arguments.manifest).table()
    audio = decode(table)
    design = UtteranceDesign(n_units=arguments.n_units, n_auxiliary=0)
    split = design.draw(table[["id", "speaker"]], audio.contents, n_shadows=arguments.codebooks)
    challenge = split.table[split.table["part"] == "trained"]
    log_mel = LogMel(N_MELS)
    waveforms = [torch.from_numpy(audio.waveform(name)).unsqueeze(0) for name in challenge["id"]]
    inputs = [(log_mel(waveform), log_mel.frame_lengths(torch.tensor([waveform.shape[1]]))) for waveform in waveforms]
    members = challenge[split.shadows].to_numpy(dtype=bool).T
    rows = []
    for own in members:
        clusters = MFCCClusters(N_MELS, arguments.n_clusters)
        clusters.fit([batch for batch, is_member in zip(inputs, own, strict=True) if is_member], seed=0)
        rows.append([inertia(clusters, clusters.mfcc(*batch)[0]) for batch in inputs])
    for name, values in zip(("alone", "relative"), aurocs(np.array(rows), members), strict=True):
        print(f"inertia, {name}: {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f} ({len(values)} codebooks)")


if __name__ == "__main__":
    main()
