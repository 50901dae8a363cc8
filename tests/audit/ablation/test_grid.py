from typing import Any

import pytest

from lightning_mia.audit.ablation.grid import MAX_CELLS, Factor, Grid, Plan
from lightning_mia.utilities.errors import InputError

EPOCHS = Factor([1, 2], option="trainer.max_epochs")
SIZES = Factor({"small": {"data.design.n_units": 50}, "100": {"data.design.n_units": 100}})


def grid(**changes: Any) -> Grid:
    return Grid(**{"base": "b.yaml", "factors": {"size": SIZES, "epochs": EPOCHS}, "seeds": 2, **changes})


def test_cells_are_every_combination_with_every_seed() -> None:
    cells = Plan(grid()).cells()
    assert len(cells) == len({cell.name for cell in cells}) == 8
    assert cells[0].name == "size=small,epochs=1/seed=0"
    assert [cell.seed for cell in cells] == [0] * 4 + [1] * 4
    assert cells[-1].options == {
        "data.design.n_units": 100,
        "trainer.max_epochs": 2,
        "seed_everything": 1,
        "data.split_seed": 1,
    }


def test_points_are_listed_cells() -> None:
    cells = Plan(grid(points=[{"size": 100, "epochs": "2"}, {"size": "small", "epochs": 1}], seeds=[7])).cells()
    assert [cell.name for cell in cells] == ["size=100,epochs=2/seed=7", "size=small,epochs=1/seed=7"]


def test_names_do_not_depend_on_other_cells() -> None:
    larger = {"size": SIZES, "epochs": Factor([1, 2, 3], option="trainer.max_epochs")}
    few, many = Plan(grid()).cells(), Plan(grid(factors=larger, seeds=5)).cells()
    assert {cell.name for cell in few} < {cell.name for cell in many}


def test_numeric_labels_are_numbers() -> None:
    assert [setting.label for setting in Plan(grid()).settings["size"]] == ["small", 100]


def test_a_value_may_change_nothing() -> None:
    cells = Plan(grid(factors={"defence": Factor({"none": {}, "dropout": {"model.dropout": 0.2}})})).cells()
    assert cells[0].options == {"seed_everything": 0, "data.split_seed": 0}


BAD = {
    "no factors": ({"factors": {}}, "no factors"),
    "a column's name": ({"factors": {"auroc": EPOCHS}}, "'auroc'"),
    "an odd name": ({"factors": {"a b": EPOCHS}}, "'a b'"),
    "no values": ({"factors": {"epochs": Factor([], option="trainer.max_epochs")}}, "epochs has no values"),
    "a value twice": ({"factors": {"epochs": Factor([1, 2, 1], option="trainer.max_epochs")}}, "value 1 twice"),
    "a value without label": ({"factors": {"masks": Factor([[1, 2]], option="probe.fprs")}}, "label"),
    "a label with a slash": ({"factors": {"x": Factor({"a/b": 1}, option="trainer.max_epochs")}}, "'a/b'"),
    "no option": ({"factors": {"epochs": Factor([1, 2])}}, "without `option`"),
    "the seeds' option": ({"factors": {"s": Factor([1, 2], option="data.split_seed")}}, "data.split_seed"),
    "the run directory": ({"factors": {"s": Factor(["a"], option="run_dir")}}, "run_dir"),
    "an option twice": ({"factors": {"epochs": EPOCHS, "again": EPOCHS}}, "epochs and again both set"),
    "no seeds": ({"seeds": 0}, "seeds is 0"),
    "a seed twice": ({"seeds": [1, 1]}, "seeds is"),
    "no points": ({"points": []}, "points is empty"),
    "a point without a factor": ({"points": [{"size": 100}]}, "Point 1"),
    "an unknown value": ({"points": [{"size": 70, "epochs": 1}]}, "size has no value 70, only small, 100"),
    "a point twice": ({"points": [{"size": 100, "epochs": 1}, {"epochs": 1, "size": 100}]}, "Point 2 is listed twice"),
}


@pytest.mark.parametrize("kind", BAD)
def test_invalid_grids_are_rejected(kind: str) -> None:
    changes, message = BAD[kind]
    with pytest.raises(InputError, match=message) as error:
        Plan(grid(**changes)).cells()
    assert "\n" not in str(error.value)


def test_a_large_grid_requires_confirmation() -> None:
    plan = Plan(grid(seeds=MAX_CELLS))
    with pytest.raises(InputError, match=r"2000 cells \(2 × 2 × 500 seeds\).*--yes"):
        plan.check_size(yes=False)
    plan.check_size(yes=True)
    Plan(grid(seeds=MAX_CELLS // 4)).check_size(yes=False)
