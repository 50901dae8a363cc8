"""Draw leakage by background and by exposures, from the grid of configs/ablation/background.yaml.

python tools/exposures_figures.py RUN_DIR docs/figures

Prints the table, and writes `background.png` (AUROC by the number of background recordings, one curve per exposures)
and `exposures.png` (AUROC by exposures, one curve per background). Means over seeds.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
ATTACKS = {"pretext_loss": "pretext loss", "relearn": "relearning"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path, help="run directory of the grid")
    parser.add_argument("folder", type=Path, help="folder of the figures")
    options = parser.parse_args()
    table = pd.DataFrame(rows(options.run_dir))
    means = table.groupby(["attack", "background", "exposures"], as_index=False)[["auroc", "tpr"]].mean()
    print_table(means)
    draw(means, "background", "exposures", "background recordings").savefig(options.folder / "background.png", dpi=110)
    draw(means, "exposures", "background", "exposures in an epoch").savefig(options.folder / "exposures.png", dpi=110)
    return 0


def rows(run_dir: Path) -> Iterator[dict[str, str | float]]:
    """Yield one row per cell, attack and number of exposures."""
    for path in sorted(run_dir.glob("cells/background=*/seed=*/report/results.json")):
        background = int(path.parents[2].name.removeprefix("background="))
        for attack in json.loads(path.read_text(encoding="utf-8"))["attacks"]:
            for group in attack["by_exposures"]:
                tpr = group["tpr_at_fpr"][0]["tpr"]
                values = {"auroc": group["auroc"], "tpr": tpr, "background": background}
                yield {"attack": attack["name"], "exposures": group["exposures"], **values}


def print_table(means: pd.DataFrame) -> None:
    """Print AUROC and TPR as Markdown."""
    exposures = sorted(means["exposures"].unique())
    print("| attack | background | " + " | ".join(f"{n} ×" for n in exposures) + " |")
    print("|---|---|" + "---|" * len(exposures))
    for (attack, background), group in means.groupby(["attack", "background"]):
        cells = [f"{row.auroc:.2f}, {row.tpr:.0%}" for row in group.sort_values("exposures").itertuples()]
        print(f"| `{attack}` | {background:,} | " + " | ".join(cells) + " |")


def draw(means: pd.DataFrame, by: str, curves: str, label: str) -> Figure:
    """Draw one panel per attack."""
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    for axes, (attack, title) in zip(figure.subplots(1, 2, sharey=True), ATTACKS.items(), strict=True):
        of_attack = means[means["attack"] == attack]
        for colour, (value, group) in zip(COLOURS, of_attack.groupby(curves), strict=False):
            points = group.sort_values(by)
            axes.plot(points[by], points["auroc"], "o-", color=colour, markersize=4, label=f"{value:,}")
        axes.axhline(0.5, color="grey", linewidth=0.8)
        if by == "exposures":
            axes.set_xscale("log", base=2)
            axes.set_xticks(sorted(means[by].unique()), [str(value) for value in sorted(means[by].unique())])
        axes.set(title=title, xlabel=label, ylim=(0.45, 1.02))
        axes.legend(title=curves, fontsize=8, title_fontsize=8)
    figure.axes[0].set_ylabel("AUROC")
    return figure


if __name__ == "__main__":
    sys.exit(main())
