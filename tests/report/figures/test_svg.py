import re
import xml.etree.ElementTree as ElementTree

import pytest
from matplotlib.figure import Figure

from lightning_mia.report.content.groups import attack_groups
from lightning_mia.report.figures.drawing import draw_results
from lightning_mia.report.figures.style import CSS_VARIABLES
from lightning_mia.report.figures.svg import inline_svg


@pytest.fixture(scope="module")
def drawing(planted_report):
    group = attack_groups(planted_report)[0]
    return draw_results(planted_report, group, group.results).rocs[1]


@pytest.fixture(scope="module")
def svg(drawing):
    return inline_svg(drawing.figure, 'of <x> & "y"', "f7")


def test_it_is_well_formed_and_labelled(svg):
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == 'of <x> & "y"'
    assert root.find("title").text == 'of <x> & "y"'
    assert "utterance_similarity, with 95 % band" in [text.text for text in root.iter("text")]


def test_it_is_self_contained(svg):
    assert "http" not in svg
    assert "font-family" not in svg
    ids = set(re.findall(r' id="([^"]+)"', svg))
    assert ids
    assert all(name.startswith("f7-") for name in ids)
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg)) == ids


def test_colours_are_those_of_the_page(svg):
    assert "var(--series-1)" in svg
    assert not any(colour in svg for colour in CSS_VARIABLES)
    assert not re.findall(r"#[0-9a-f]{6}(?=[;\"])", svg), "a colour that dark mode cannot change"


def test_numbers_in_names_are_not_rounded():
    figure = Figure(figsize=(1, 1))
    figure.text(0.123456, 0.5, "attack_0.00012")
    svg = inline_svg(figure, "label", "f1")
    assert ">attack_0.00012<" in svg
    assert not re.findall(r'[ "]-?\d+\.\d{3,}', svg)


def test_the_same_figure_gives_the_same_bytes(drawing, svg):
    assert inline_svg(drawing.figure, 'of <x> & "y"', "f7") == svg
