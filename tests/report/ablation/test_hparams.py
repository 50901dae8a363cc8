"""TensorBoard's HParams tab of a grid: one run per cell, with factors, seed, AUROCs and utility."""

import math

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from lightning_mia.report.ablation.hparams import write_hparams


def row(size, seed, attack, auroc, role="attack", heldout=0.25):
    return {
        "size": size,
        "defence": "none",
        "seed": seed,
        "attack": attack,
        "role": role,
        "level": "utterance",
        "auroc": auroc,
        "heldout_pretext": heldout,
        "cell": f"cells/size={size}/seed={seed}",
    }


def test_cells_are_runs_with_factors_and_results(tmp_path):
    table = pd.DataFrame(
        [
            row(25, 0, "pretext_loss", 0.75),
            row(25, 0, "blind", 0.5, role="control"),
            row(50, 1, "pretext_loss", 0.625, heldout=math.nan),
        ]
    )
    write_hparams(tmp_path / "tensorboard", table, ["size", "defence"])
    first, second = (
        EventAccumulator(str(tmp_path / "tensorboard" / name)).Reload() for name in ("size=25/seed=0", "size=50/seed=1")
    )
    assert {tag: first.Scalars(tag)[0].value for tag in first.Tags()["scalars"]} == pytest.approx(
        {"auroc/utterance/pretext_loss": 0.75, "utility/heldout_pretext": 0.25}
    )
    assert second.Tags()["scalars"] == ["auroc/utterance/pretext_loss"]
    start = plugin_data_pb2.HParamsPluginData.FromString(
        first.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    ).session_start_info
    settings = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    assert settings == {"size": 25.0, "defence": "none", "seed": 0.0}


def test_earlier_event_files_are_replaced(tmp_path):
    folder = tmp_path / "tensorboard"
    for _ in range(2):
        write_hparams(folder, pd.DataFrame([row(25, 0, "pretext_loss", 0.75)]), ["size"])
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tensorboard"]
