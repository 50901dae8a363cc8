"""Print AUROCs of attacks and controls as a Markdown table.

python tools/leak_table.py RUN_DIR…

A RUN_DIR is named CONFIG-EPOCHS, as by `tools/leak_by_epochs`. The column "training" shows the first and last logged
value of masked accuracy, contrastive accuracy, or otherwise the loss.
"""

import json
import sys
from pathlib import Path

NAMES = {
    "tera": "TERA",
    "hubert": "HuBERT, waveform",
    "manifest": "HuBERT, log-mel",
    "wav2vec2": "wav2vec 2.0",
    "cpc": "CPC",
}
COLUMNS = {
    "pretext_loss": "pretext loss",
    "utterance_similarity": "utterance similarity",
    "untrained_pretext_loss": "untrained: loss",
    "untrained_utterance_similarity": "similarity",
    "wrong_model_pretext_loss": "wrong model: loss",
    "wrong_model_utterance_similarity": "similarity",
}
TRAINING_METRICS = ("masked_accuracy", "contrastive_accuracy", "loss")


def cell(result: dict) -> str:
    lower, upper = result["auroc_ci95"]
    return f"{result['auroc']:.2f} [{lower:.2f}, {upper:.2f}]"


def training(health: dict) -> str:
    """Format the first and last logged training figure."""
    available = [name for name in TRAINING_METRICS if name in health]
    if not available:
        return "–"
    first, last = health[available[0]]
    return f"{available[0].replace('_', ' ')} {first:.2f} → {last:.2f}"


def row(run_dir: Path) -> list[str]:
    results = json.loads((run_dir / "report" / "results.json").read_text(encoding="utf-8"))
    target = next(model for model in results["provenance"]["models"] if model["name"] == "target")
    cells = {result["name"]: cell(result) for result in results["attacks"] + results["controls"]}
    config, _, epochs = run_dir.name.rpartition("-")
    return [
        NAMES.get(config, config),
        epochs,
        f"{target['seconds']:.0f}",
        training(target["health"]),
        *(cells.get(name, "–") for name in COLUMNS),
        f"`{results['verdict']['status']}`",
    ]


def main() -> None:
    order = list(NAMES.values())
    rows = [row(Path(name)) for name in sys.argv[1:]]
    rows.sort(key=lambda cells: (order.index(cells[0]) if cells[0] in order else len(order), int(cells[1])))
    heading = ["model", "epochs", "seconds", "training", *COLUMNS.values(), "verdict"]
    print("| " + " | ".join(heading) + " |")
    print("|" + "---|" * len(heading))
    for cells in rows:
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
