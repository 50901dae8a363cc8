"""The fleet of shadow models in a few figures: what it was trained on, and how its trainings ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Pool = Literal["challenge", "auxiliary"]


@dataclass(frozen=True)
class FleetSummary:
    """Shadow models, each trained like the target. None where a figure is not known.

    Attributes:
        n_shadows: how many there are.
        pool: whose halves they were trained on: of the challenge set, or of a pool apart from it.
        n_utterances: that each was trained on.
        epochs: of each.
        steps: of the optimizer, of each.
        seconds: of all trainings together.
        health: figure of the training, such as its loss, to its smallest and its largest last value over the fleet.
        n_collapsed: models whose outputs became the same for every input.
    """

    n_shadows: int
    pool: Pool = "challenge"
    n_utterances: int | None = None
    epochs: float | None = None
    steps: int | None = None
    seconds: float | None = None
    health: dict[str, tuple[float, ...]] = field(default_factory=dict)
    n_collapsed: int = 0


def summarise_fleet(records: Mapping[str, Mapping[str, Any]], pool: Pool) -> FleetSummary:
    """Sum up what the trainings of a fleet recorded.

    Args:
        records: shadow model to its record: `seconds`, `epochs`, `steps`, `utterances`, `health` (figure to first and
            last value), `collapse` (empty where it did not). Sizes are the same for all, or the fleet is none.
        pool: what they were trained on.

    >>> record = {"seconds": 2.0, "epochs": 3, "steps": 9, "utterances": 5, "health": {"loss": [4.0, 2.5]}}
    >>> fleet = summarise_fleet({"000": record, "001": {**record, "health": {"loss": [4.1, 2.25]}}}, "challenge")
    >>> fleet.seconds, fleet.health
    (4.0, {'loss': (2.25, 2.5)})
    """
    all_ = list(records.values())
    last = [{figure: values[-1] for figure, values in record.get("health", {}).items()} for record in all_]
    figures = [figure for figure in last[0] if all(figure in of_model for of_model in last)]
    return FleetSummary(
        n_shadows=len(all_),
        pool=pool,
        n_utterances=all_[0]["utterances"],
        epochs=all_[0]["epochs"],
        steps=all_[0]["steps"],
        seconds=round(sum(float(record["seconds"]) for record in all_), 3),
        health={figure: (min(one[figure] for one in last), max(one[figure] for one in last)) for figure in figures},
        n_collapsed=sum(bool(record.get("collapse")) for record in all_),
    )
