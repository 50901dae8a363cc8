"""Print audits with shadow models as Markdown tables.

python tools/shadows_table.py RUN_DIR…

One row per attack: AUROC with 95 % interval by number of shadow models (0: the attack uses none), TPR at 1 % FPR with
all shadow models, and the mean AUROC ± standard deviation with each shadow model as target, by its own members and
(wrong model) by those of the target.
"""

import json
import sys
from pathlib import Path

from lightning_mia.evaluation.scores import ACCESSES, LEVELS

FPR = 0.01
NONE = "–"


def estimate(value: float, interval: list) -> str:
    lower, upper = interval
    return f"{value:.2f}" if lower is None or upper is None else f"{value:.2f} [{lower:.2f}, {upper:.2f}]"


def rate(result: dict) -> str:
    """Format the TPR at 1 % FPR.

    † marks rates that rest on fewer than 10 non-members.
    """
    for point in result["tpr_at_fpr"]:
        if point["fpr"] == FPR:
            return estimate(point["tpr"], point["tpr_ci95"]) + ("" if point["resolvable"] else " †")
    return NONE


def each_as_target(result: dict, measure: str) -> str:
    summary = result.get("in_turn")
    return f"{summary[f'{measure}_mean']:.2f} ± {summary[f'{measure}_sd']:.2f}" if summary else NONE


def by_size(result: dict) -> dict[int, str]:
    """Format the AUROC by number of shadow models."""
    if not result.get("n_shadows"):
        return {0: estimate(result["auroc"], result["auroc_ci95"])}
    aurocs = {fewer["n_shadows"]: estimate(fewer["auroc"], fewer["auroc_ci95"]) for fewer in result["with_fewer"]}
    return {**aurocs, result["n_shadows"]: estimate(result["auroc"], result["auroc_ci95"])}


def from_chance(result: dict) -> float:
    difference = result["auroc"] - 0.5
    return abs(difference) if result["two_sided"] else difference


def table(results: list[dict]) -> list[str]:
    """Make the table of one group, strongest attack first."""
    aurocs = {result["name"]: by_size(result) for result in results}
    sizes = sorted({size for cells in aurocs.values() for size in cells})
    heading = [
        "attack",
        *(f"AUROC, {size}" for size in sizes),
        "TPR at 1 % FPR",
        "over targets",
        "wrong model",
        "queries",
    ]
    rows = [
        [
            f"`{result['name']}`",
            *(aurocs[result["name"]].get(size, NONE) for size in sizes),
            rate(result),
            each_as_target(result, "auroc"),
            each_as_target(result, "wrong_model_auroc"),
            str(result.get("queries") or NONE),
        ]
        for result in sorted(results, key=from_chance, reverse=True)
    ]
    return ["| " + " | ".join(cells) + " |" for cells in (heading, ["---"] * len(heading), *rows)]


def describe(results: dict) -> str:
    """Describe target, challenge set, shadow models and verdict."""
    split = results["split"]
    facts = [f"{results['target']['family']}, {split['n_members']} + {split['n_nonmembers']} units"]
    facts += [f"{model['epochs']} epochs" for model in results["provenance"]["models"] if model["name"] == "target"]
    n_shadows = max((result.get("n_shadows", 0) for result in results["attacks"]), default=0)
    pool = (results.get("fleet") or {}).get("pool")
    facts.append(f"{n_shadows} shadow models" + (f" from the {pool} pool" if pool else ""))
    return f"{', '.join(facts)}: `{results['verdict']['status']}`"


def print_run(run_dir: Path) -> None:
    results = json.loads((run_dir / "report" / "results.json").read_text(encoding="utf-8"))
    print(f"### {run_dir.name}\n\n{describe(results)}")
    for level in LEVELS:
        for access in ACCESSES:
            group = [result for result in results["attacks"] if (result["level"], result["access"]) == (level, access)]
            if group:
                power = max((result["smallest_detectable_auroc"] or 1.0) for result in group)
                print(f"\n**{level} level, {access}** (detectable with 80 % power: AUROC {power:.2f})\n")
                print("\n".join(table(group)))
    print()


def main() -> None:
    for name in sys.argv[1:]:
        print_run(Path(name))


if __name__ == "__main__":
    main()
