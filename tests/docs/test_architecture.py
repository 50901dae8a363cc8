"""Architecture page: picture and file names."""

import re
from pathlib import Path

from tests.docs.conftest import DOCS, ROOT
from tools.docs import architecture
from tools.docs.imports import LAYERS, Import, folder_edges

PAGE = (DOCS / "extend" / "architecture.md").read_text(encoding="utf-8")


def test_picture_is_up_to_date() -> None:
    assert architecture.PICTURE.read_text(encoding="utf-8") == architecture.svg(), "python -m tools.docs.architecture"


def test_every_folder_has_a_box_in_its_layer() -> None:
    boxes = architecture.boxes()
    assert set(boxes) == {name for layer in LAYERS for name in layer} == set(architecture.CONTENT)
    heights = [{boxes[name].y for name in layer} for layer in LAYERS]
    assert all(len(height) == 1 for height in heights)
    assert sorted(heights, key=max, reverse=True) == heights


def test_implied_arrows_are_omitted() -> None:
    edges = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "e": {"d", "c"}}
    assert architecture.reduced(edges) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "e": {"c"}}


def test_imports_within_a_folder_draw_no_arrow() -> None:
    statements = [Import("p.models.a", "p.models.b", 1), Import("p.models.a", "p.corpora.c", 2)]
    assert folder_edges(statements) == {"models": {"corpora"}}


def test_named_files_exist() -> None:
    for path in re.findall(r"\(`([\w/]+(?:\.py|/))`\)", PAGE):
        assert (ROOT / "lightning_mia" / path).exists(), path
    for row in re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", PAGE, re.MULTILINE):
        for name in re.findall(r"`([\w/]+\.py)`", row[1]):
            assert (ROOT / "lightning_mia" / row[0] / name).is_file(), name


def test_walkthroughs_have_ten_steps() -> None:
    paths = re.findall(r"^## From .* to .*\n\n((?:\d+\. .*\n)+)", PAGE, re.MULTILINE)
    assert [len(path.splitlines()) for path in paths] == [10, 10, 10]


def test_contribution_guide_links_to_existing_files() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)", text)
    assert links
    assert all(Path(ROOT / link).is_file() for link in links)
