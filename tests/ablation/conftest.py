"""What the tests of grids share: a table of a grid, as `results.csv` has it."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

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
                    "train_loss": 0.5,
                    "seconds": 10.0,
                    "verdict": "leak",
                    "cell": f"cells/size={size},epochs={epoch}/seed={seed}",
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture
def table() -> pd.DataFrame:
    return table_of()
