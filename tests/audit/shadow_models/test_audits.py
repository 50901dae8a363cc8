"""Training data of shadow models, and their reuse by audits."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.audit.shadow_models.conftest import run, shadow_files, signal_files, times_of

pytestmark = pytest.mark.slow


def test_an_audit_reuses_trained_shadow_models(audited: Path, fleet: Path) -> None:
    assert shadow_files(audited) == shadow_files(fleet)
    assert len(shadow_files(fleet)) == 4
    results = json.loads((audited / "report" / "results.json").read_text())
    by_name = {attack["name"]: attack for attack in results["attacks"]}
    assert next(attack["n_shadows"] for name, attack in by_name.items() if name.startswith("lira")) == 4
    assert results["timings"]["shadow_s"] > 0
    probed = {name.split("-answers-")[0] for name in signal_files(audited)}
    assert probed == {"target", "wrong_model", *(f"shadows-00{number}" for number in range(4))}


def test_shadow_models_are_trained_on_exactly_their_columns(fleet: Path) -> None:
    split = pd.read_csv(fleet / "split.csv", dtype={"id": str}).set_index("id")
    challenge = split[split["role"] != "auxiliary"]
    for number in range(4):
        exposure = pd.read_csv(fleet / f"shadows/00{number}/trained_utterances.csv", dtype={"id": str})
        assert set(exposure["id"]) == set(split.index[split[f"shadow_00{number}"] == 1])
        assert (exposure["times"] == 3).all()
        assert len(exposure) == 24 == challenge["target"].sum()
    for first, second in (("shadow_000", "shadow_001"), ("shadow_002", "shadow_003")):
        assert (challenge[first] + challenge[second] == 1).all()


def test_a_second_run_repeats_nothing(copied: Path, config: Path) -> None:
    before = times_of(copied)
    assert run("audit", config, copied, "--fleet.size", "4") == 0
    assert run("audit", config, copied, "--fleet.size", "4", "--fleet.workers", "3") == 0  # starts no process
    assert run("shadow", config, copied, "--fleet.size", "4") == 0
    assert times_of(copied) == before


def test_shadow_models_can_be_added_and_used_in_part(fleet: Path, config: Path, tmp_path: Path) -> None:
    assert run("shadow", config, tmp_path, "--fleet.size", "2") == 0
    small = times_of(tmp_path)
    assert "shadow_002" not in pd.read_csv(tmp_path / "split.csv").columns
    assert run("audit", config, tmp_path, "--fleet.size", "4") == 0
    large = times_of(tmp_path)
    assert {path for path, time_ in small.items() if large[path] != time_} == {tmp_path / "split.csv"}
    assert (tmp_path / "split.csv").read_bytes() == (fleet / "split.csv").read_bytes()
    assert shadow_files(tmp_path) == shadow_files(fleet)
    assert run("audit", config, tmp_path, "--fleet.size", "2") == 0
    assert run("audit", config, tmp_path) == 0
    assert times_of(tmp_path) == large


def test_shadow_models_from_the_auxiliary_pool(config: Path, tmp_path: Path) -> None:
    sizes = ["--data.design.n_units", "24", "--data.design.n_auxiliary", "48"]
    assert run("audit", config, tmp_path, "--fleet.size", "4", "--fleet.pool", "auxiliary", *sizes) == 0
    split = pd.read_csv(tmp_path / "split.csv", dtype={"id": str}).set_index("id")
    columns = [f"shadow_{number:03d}" for number in range(4)]
    pool = split.index[split[columns].any(axis=1)]
    assert len(pool) == 24
    assert (split.loc[pool, "role"] == "auxiliary").all()
    trained_on = {
        model: set(pd.read_csv(tmp_path / model / "trained_utterances.csv", dtype={"id": str})["id"])
        for model in ("wrong_model", *(f"shadows/{number:03d}" for number in range(4)))
    }
    assert trained_on.pop("wrong_model") == set(split.index[split["role"] == "auxiliary"]) - set(pool)
    for model, ids in trained_on.items():
        assert ids == set(split.index[split[f"shadow_{model[-3:]}"] == 1])
        assert len(ids) == 12 == split["target"].sum()
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    assert results["fleet"]["pool"] == "auxiliary"


def test_shadow_models_of_a_speaker_split(config: Path, speakers_manifest: Path, tmp_path: Path) -> None:
    sizes = {"n_units": 14, "n_auxiliary": 6, "trained_per_speaker": 3, "held_back_per_speaker": 3}
    design = {"class_path": "lightning_mia.splits.SpeakerDesign", "init_args": sizes}
    options = ["--data.corpus.path", str(speakers_manifest), "--data.design", json.dumps(design)]
    attacks = ["--attacks", json.dumps([{"class_path": "lightning_mia.attacks.lira.SpeakerLiRA"}])]
    assert run("audit", config, tmp_path, *options, *attacks, "--fleet.size", "4") == 0
    split = pd.read_csv(tmp_path / "split.csv", dtype={"id": str}).set_index("id")
    for number in range(4):
        ids = set(pd.read_csv(tmp_path / f"shadows/00{number}/trained_utterances.csv", dtype={"id": str})["id"])
        speakers = split.loc[list(ids), "speaker"]
        assert (speakers.value_counts() == 3).all()
        assert set(speakers) == set(split["speaker"][split[f"shadow_00{number}"] == 1])
        assert (split.loc[list(ids), "part"] == "trained").all()
        assert len(ids) == 21 == split["trained"].sum()
    levels = {attack["level"] for attack in json.loads((tmp_path / "report/results.json").read_text())["attacks"]}
    assert levels == {"speaker"}
