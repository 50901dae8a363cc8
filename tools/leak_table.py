"""Print audits as the rows of a Markdown table: AUROC with its 95 % interval for every attack and control.

python tools/leak_table.py RUN_DIR…
"""

import json
import sys
from pathlib import Path


def cell(result: dict) -> str:
    lower, upper = result["auroc_ci95"]
    return f"{result['auroc']:.2f} [{lower:.2f}, {upper:.2f}]"


def health(model: dict) -> str:
    """First and last logged figures of the training."""
    return "; ".join(f"{name} {first:.2f} → {last:.2f}" for name, (first, last) in model["health"].items())


def main() -> None:
    rows = []
    for run_dir in map(Path, sys.argv[1:]):
        results = json.loads((run_dir / "report" / "results.json").read_text(encoding="utf-8"))
        target = next(model for model in results["provenance"]["models"] if model["name"] == "target")
        found = {result["name"]: cell(result) for result in results["attacks"] + results["controls"]}
        model, _, _ = run_dir.name.rpartition("-")
        row = {"model": model, "epochs": f"{target['epochs']:.0f}", "seconds": f"{target['seconds']:.0f}"}
        rows.append({**row, **found, "verdict": results["verdict"]["status"], "health": health(target)})
    rows.sort(key=lambda row: (row["model"], int(row["epochs"])))
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(row.values()) + " |")


if __name__ == "__main__":
    main()
