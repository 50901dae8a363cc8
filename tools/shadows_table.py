"""Print audits with shadow models as Markdown tables: one a level and access, one row an attack.

python tools/shadows_table.py RUN_DIR…

AUROC with its 95 % interval against the number of shadow models (0: the attack uses none), the true positive rate at
1 % false positives with the whole fleet, and, over every shadow model in the target's place, the mean AUROC ± standard
deviation, by its own members and (wrong model) by the target's.
"""

import json
import sys
from pathlib import Path

LEVELS = ("utterance", "speaker")
ACCESSES = ("black-box", "open-weights", "grey-box")
FPR = 0.01
NONE = "–"


def estimate(value: float, interval: list) -> str:
    lower, upper = interval
    return f"{value:.2f}" if lower is None or upper is None else f"{value:.2f} [{lower:.2f}, {upper:.2f}]"


def rate(result: dict) -> str:
    """The true positive rate at 1 %; † where fewer than 10 non-members decide it."""
    for one in result["tpr_at_fpr"]:
        if one["fpr"] == FPR:
            return estimate(one["tpr"], one["tpr_ci95"]) + ("" if one["resolvable"] else " †")
    return NONE


def in_turn(result: dict, of: str) -> str:
    turns = result.get("in_turn")
    return f"{turns[f'{of}_mean']:.2f} ± {turns[f'{of}_sd']:.2f}" if turns else NONE


def by_size(result: dict) -> dict[int, str]:
    """The AUROC at each number of shadow models that the attack was tried with."""
    if not result.get("n_shadows"):
        return {0: estimate(result["auroc"], result["auroc_ci95"])}
    found = {one["n_shadows"]: estimate(one["auroc"], one["auroc_ci95"]) for one in result["with_fewer"]}
    return {**found, result["n_shadows"]: estimate(result["auroc"], result["auroc_ci95"])}


def from_chance(result: dict) -> float:
    away = result["auroc"] - 0.5
    return abs(away) if result["two_sided"] else away


def table(results: list[dict]) -> list[str]:
    """The lines of the table of one level and access, the strongest attack first."""
    aurocs = {result["name"]: by_size(result) for result in results}
    sizes = sorted({size for of_attack in aurocs.values() for size in of_attack})
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
            in_turn(result, "auroc"),
            in_turn(result, "wrong_model_auroc"),
            str(result.get("queries") or NONE),
        ]
        for result in sorted(results, key=from_chance, reverse=True)
    ]
    return ["| " + " | ".join(cells) + " |" for cells in (heading, ["---"] * len(heading), *rows)]


def describe(results: dict) -> str:
    """One line on the run: the target, the challenge set, the fleet, the verdict."""
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
            of_group = [one for one in results["attacks"] if (one["level"], one["access"]) == (level, access)]
            if of_group:
                power = max((one["smallest_detectable_auroc"] or 1.0) for one in of_group)
                print(f"\n**{level} level, {access}** (found with 80 % power: an AUROC of {power:.2f})\n")
                print("\n".join(table(of_group)))
    print()


def main() -> None:
    for name in sys.argv[1:]:
        print_run(Path(name))


if __name__ == "__main__":
    main()
