"""Tables of grids, as in `results.csv`."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from lightning_mia.report.ablation.labels import COST_COLUMNS

RESULTS = (("pretext_loss", "attack", 0.3), ("similarity", "attack", 0.1), ("blind", "control", 0.0))


def table_of(sizes: tuple[object, ...] = (25, 50), epochs: tuple[object, ...] = (1, 2, 4)) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for seed, size, epoch in product(range(3), sizes, epochs):
        for name, role, shift in RESULTS:
            rows.append(
                {
                    "size": size,
                    "epochs": epoch,
                    "seed": seed,
                    "attack": name,
                    "role": role,
                    "level": "utterance",
                    "access": "none" if role == "control" else "grey-box",
                    "auroc": 0.5 + shift + 0.02 * rng.standard_normal(),
                    "auroc_lo": 0.4,
                    "auroc_hi": 0.9,
                    "p_value": 0.01,
                    "advantage": 0.1,
                    "n_members": 20,
                    "tpr_at_1_fpr": 0.05,
                    "heldout_pretext": -0.5 + 0.01 * rng.standard_normal(),
                    **dict.fromkeys(COST_COLUMNS, float("nan")),
                    "train_loss": 0.5,
                    "seconds": 10.0,
                    "verdict": "leak",
                    "cell": f"cells/size={size},epochs={epoch}/seed={seed}",
                    "trained_as": "",
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture
def table() -> pd.DataFrame:
    return table_of()


@pytest.fixture
def defences() -> pd.DataFrame:
    """Three defences × 3 seeds: the second halves the leak and costs .05 of the probe, the third has an ε."""
    rows = []
    for number, defence in enumerate(("none", "dropout", "dp")):
        for seed in range(3):
            cell = {
                "defence": defence,
                "seed": seed,
                "utility_probe": 0.6 - 0.05 * number + 0.1 * seed,
                "utility_probe_lo": 0.4,
                "utility_probe_hi": 0.9,
                "utility_untrained": 0.3,
                "utility_pretext": 1.0 - number,
                "heldout_pretext": -0.5,
                "epsilon": 8.0 if defence == "dp" else float("nan"),
                "epsilon_shown": 0.3 * seed,
                "train_loss": 0.5,
                "seconds": 10.0,
                "verdict": "leak",
                "cell": f"cells/defence={defence}/seed={seed}",
                "trained_as": "",
            }
            for name, access, auroc in (
                ("pretext_loss", "grey-box", 0.9 - 0.2 * number + 0.01 * seed),
                ("similarity", "black-box", 0.52),
                ("surrogate", "black-box", 0.7 - 0.05 * number * seed),
                ("blind", "none", 0.5),
            ):
                role = "control" if access == "none" else "attack"
                figures = {"auroc": auroc, "auroc_lo": 0.4, "auroc_hi": 0.9, "p_value": 0.01, "advantage": 0.1}
                kind = {"attack": name, "role": role, "level": "utterance", "access": access, "n_members": 20}
                rows.append({**cell, **kind, **figures})
    return pd.DataFrame(rows)
