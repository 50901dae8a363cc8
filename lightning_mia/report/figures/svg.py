"""Convert Matplotlib figures to inline SVG in the page's style."""

import io
import re
from html import escape
from typing import TYPE_CHECKING

from lightning_mia.report.figures.style import CSS_VARIABLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Dates and creators would make drawings of the same numbers differ.
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def inline_svg(figure: "Figure", label: str, prefix: str) -> str:
    """Return the figure as an `<svg>` element.

    Args:
        figure: drawn in the colours of `style`, which become CSS variables.
        label: alternative text.
        prefix: put before every id, to keep ids unique on a page of several figures.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lightning_mia"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    svg = buffer.getvalue()
    return _with_title(_recolour(_compact(_prefix_ids(_body(svg), prefix))), svg, label)


def _body(svg: str) -> str:
    """Return the `<svg>` content without style sheet and metadata."""
    body = svg[svg.index(">", svg.index("<svg ")) + 1 : svg.rindex("</svg>")]
    return re.sub(r"<style.*?</style>|<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)


def _prefix_ids(svg: str, prefix: str) -> str:
    """Drop unreferenced ids and prefix the others."""
    used = set(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", svg))
    svg = re.sub(r" id=\"([^\"]+)\"", lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", svg)
    return re.sub(r"(url\(#|xlink:href=\"#)", lambda m: m[1].replace("xlink:", "") + f"{prefix}-", svg)


def _compact(svg: str) -> str:
    """Round coordinates to 0.01 pt and drop white space."""
    svg = re.sub(r' (?:d|x|y|transform|style)="[^"]*"', _shorter, svg)  # attributes only, not names in the text
    return re.sub(r">\s+<", "><", svg).strip()


def _shorter(attribute: "re.Match[str]") -> str:
    rounded = re.sub(r"-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), attribute[0])
    return rounded.replace(" \n", " ").replace("\n", " ")


def _recolour(svg: str) -> str:
    svg = re.sub(r" ?font-family: [^;\"]+;?| ?font: [^;\"]*?(?=[;\"])", _font_size, svg)
    for colour, variable in CSS_VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg


def _font_size(match: "re.Match[str]") -> str:
    """Keep only the size of a `font` shorthand."""
    size = re.search(r"[\d.]+px", match[0])
    return f"font-size: {size[0]}" if size else ""


def _with_title(body: str, svg: str, label: str) -> str:
    view_box = re.search(r'viewBox="([^"]+)"', svg)
    assert view_box is not None
    width, height = view_box[1].split()[2:]
    name = escape(label)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{name}"'
        f' stroke-linejoin="round"><title>{name}</title>{body}</svg>'
    )
