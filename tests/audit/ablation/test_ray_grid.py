"""Grids with shadow models on Ray give the same table as without Ray."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from lightning_mia.audit.cli import main
from lightning_mia.training.parallel.ray_cluster import connect
from lightning_mia.training.parallel.settings import ExecutorSettings
from tests.audit.ablation.test_ablate import figures
from tests.audit.shadow_models.conftest import QUICK

pytestmark = [pytest.mark.slow, pytest.mark.long]
GRID: dict[str, Any] = {
    "factors": {"epochs": {"option": "trainer.max_epochs", "values": [1, 2]}},
    "options": {"data.design.n_units": 24, "fleet.size": 2},
    "seeds": 1,
    "share_longer_runs": True,  # makes the cells depend on their order
}


@pytest.fixture(scope="module")
def grid_file(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grid") / "grid.yaml"
    path.write_text(yaml.safe_dump({**GRID, "base": str(config)}))
    return path


def table_of(grid_file: Path, root: Path, *options: str) -> pd.DataFrame:
    pytest.importorskip("ray")
    assert main(["ablate", "-c", str(grid_file), "--run_dir", str(root), *QUICK, *options]) == 0
    return figures(pd.read_csv(root / "results.csv", keep_default_na=False))


@pytest.fixture(scope="module")
def without_ray(grid_file: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return table_of(grid_file, tmp_path_factory.mktemp("local"))


@pytest.fixture
def ray_of_one() -> Iterator[None]:
    """A cluster of one CPU, which a cell must release for its shadow models."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        connect(ExecutorSettings(workers=1, engine="ray"))
        yield
    ray.shutdown()


@pytest.mark.usefixtures("ray_of_one")
def test_cells_and_their_shadow_models_on_one_cluster(
    grid_file: Path, without_ray: pd.DataFrame, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    options = ["--engine", "ray", "--fleet.engine", "ray", "--results_url", copy.as_uri()]
    pd.testing.assert_frame_equal(table_of(grid_file, tmp_path / "R", *options), without_ray)
    assert list(without_ray["trained_as"].unique()) == ["epoch 1 of 2 of epochs=2/seed=0", ""]
    (results,) = copy.rglob("results.csv")
    assert results.read_bytes() == (tmp_path / "R" / "results.csv").read_bytes()
    assert len(list(copy.rglob("results.json"))) == 2


def test_workers_start_one_cluster_per_cell(
    grid_file: Path, without_ray: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    at_once = ["--workers", "2", "--share_longer_runs", "false"]
    table = table_of(grid_file, tmp_path / "R", *at_once, "--fleet.engine", "ray")
    assert set(table["epochs"]) == {1, 2}
    longest, expected = (part[part["epochs"] == 2].reset_index(drop=True) for part in (table, without_ray))
    pd.testing.assert_frame_equal(longest, expected)
