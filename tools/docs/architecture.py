"""Draw the folders of the package and their imports.

    python -m tools.docs.architecture

Writes `docs/figures/architecture.svg`. Arrows implied by other arrows are omitted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tools.docs.imports import LAYERS, ROOT, folder_edges, imports

PICTURE = ROOT / "docs" / "figures" / "architecture.svg"
WIDTH, HEIGHT, GAP = 150, 44, 46  # pixels: box width, box height, space between layers
MARGIN = 30
CONTENT = {
    "utilities": "errors, files, stages",
    "corpora": "audio, batches",
    "evaluation": "statistics, verdict",
    "splits": "members, matching",
    "models": "TERA, HuBERT, …",
    "report": "page, files, figures",
    "training": "Trainer, workers",
    "signals": "probing",
    "attacks": "LiRA, RMIA, …",
    "audit": "command line",
    "__init__": "public names",
    "__main__": "lightning-mia",
    "metrics": "torchmetrics",
}
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1c1c1c; text-anchor: middle }
  .name { font-weight: 600 }
  .content, .layer { font-size: 11px; fill: #5a5a5a }
  rect { fill: #eef1fb; stroke: #6a7bc8 }
  path { fill: none; stroke: #8a8a8a; marker-end: url(#head) }
  marker path { fill: #8a8a8a; stroke: none; marker-end: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e8e8e8 } .content, .layer { fill: #a8a8a8 }
    rect { fill: #262c45; stroke: #8795da } path { stroke: #9a9a9a } marker path { fill: #9a9a9a }
  }
"""


@dataclass(frozen=True)
class Box:
    """Position of a folder in the picture.

    Attributes:
        x: centre (pixels from the left).
        y: top edge (pixels from the top).
    """

    x: float
    y: float


def reduced(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Remove edges implied by others (transitive reduction; acyclic graph).

    >>> {node: sorted(targets) for node, targets in reduced({"a": {"b", "c"}, "b": {"c"}}).items()}
    {'a': ['b'], 'b': ['c']}
    """

    def reachable(node: str) -> set[str]:
        direct = edges.get(node, set())
        return direct.union(*(reachable(target) for target in direct))

    return {node: targets - set().union(*(reachable(target) for target in targets)) for node, targets in edges.items()}


def boxes() -> dict[str, Box]:
    """Place every folder in its layer."""
    widest = max(map(len, LAYERS))
    centre = MARGIN + 30 + widest * (WIDTH + GAP) / 2
    result = {}
    for number, layer in enumerate(reversed(LAYERS)):
        left = centre - (len(layer) - 1) * (WIDTH + GAP) / 2
        for column, name in enumerate(layer):
            result[name] = Box(left + column * (WIDTH + GAP), MARGIN + number * (HEIGHT + GAP))
    return result


def svg() -> str:
    """Draw the picture."""
    positions = boxes()
    width = MARGIN + 30 + max(map(len, LAYERS)) * (WIDTH + GAP)
    height = 2 * MARGIN + len(LAYERS) * (HEIGHT + GAP) - GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="Folders of lightning_mia by layer, with their imports">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z"/></marker></defs>',
        *_arrows(positions),
        *_labels(positions),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _arrows(positions: Mapping[str, Box]) -> Iterator[str]:
    for importer, targets in sorted(reduced(folder_edges(imports())).items()):
        for imported in sorted(targets):
            yield f'<path d="{_curve(positions[importer], positions[imported])}"/>'


def _curve(start: Box, end: Box) -> str:
    """Draw a curve; across layers, it descends between boxes."""
    bottom = end.y - 2
    if end.y - start.y > HEIGHT + GAP and end.x != start.x:
        side = start.x + (WIDTH / 2 if end.x > start.x else -WIDTH / 2)
        middle = start.y + HEIGHT / 2
        return f"M{side:g} {middle:g} Q{end.x:g} {middle:g} {end.x:g} {start.y + HEIGHT + GAP:g} V{bottom:g}"
    top = start.y + HEIGHT
    half = (top + bottom) / 2
    return f"M{start.x:g} {top:g} C{start.x:g} {half:g} {end.x:g} {half:g} {end.x:g} {bottom:g}"


def _labels(positions: Mapping[str, Box]) -> Iterator[str]:
    for number, layer in enumerate(LAYERS, start=1):
        middle = positions[layer[0]].y + HEIGHT / 2 + 4
        yield f'<text class="layer" x="{MARGIN}" y="{middle:g}">{number}</text>'
        for name in layer:
            box = positions[name]
            yield f'<rect x="{box.x - WIDTH / 2:g}" y="{box.y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
            yield f'<text class="name" x="{box.x:g}" y="{box.y + 19:g}">{name}</text>'
            yield f'<text class="content" x="{box.x:g}" y="{box.y + 35:g}">{CONTENT[name]}</text>'


if __name__ == "__main__":
    PICTURE.write_text(svg(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))
