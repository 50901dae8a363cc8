from dataclasses import replace

from lightning_mia.report.content.breakdown_text import speaker_pseudonyms
from lightning_mia.report.content.groups import attack_groups, control_groups
from lightning_mia.report.content.wording import SECTIONS
from lightning_mia.report.figures.drawn_groups import NO_FIGURES, DrawnGroup
from lightning_mia.report.html import render_page
from lightning_mia.report.markdown import render_markdown, render_verdict


def test_it_has_every_result_and_well_formed_tables(planted_fleet_report):
    text = render_markdown(planted_fleet_report)
    for attack in planted_fleet_report.attacks:
        assert attack.name.replace("_", "\\_") in text
        assert f"{attack.auroc:.3f}" in text
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("|---"):
            assert line.count("|") == lines[number - 1].count("|") == lines[number + 1].count("|")
            assert lines[number - 2] == ""
    assert planted_fleet_report.provenance.command in text
    assert all("None" not in line or "None: a control" in line for line in lines)


def test_its_headings_are_those_of_the_page(complete_report):
    attacks = [DrawnGroup(group, NO_FIGURES) for group in attack_groups(complete_report)]
    controls = [DrawnGroup(group, NO_FIGURES) for group in control_groups(complete_report)]
    page = render_page(complete_report, attacks, controls)
    headings = [line[3:] for line in render_markdown(complete_report).splitlines() if line.startswith("## ")]
    assert set(headings) <= set(SECTIONS.values())
    assert len(headings) == len(set(headings)) == 11
    for heading in headings:
        assert f">{heading}</h2>" in page


def test_it_shows_names_only_on_request(complete_report):
    assert "Zo" not in render_markdown(complete_report)
    names = {pseudonym: name for name, pseudonym in speaker_pseudonyms(complete_report).items()}
    assert "Zoë &amp; &lt;00>" in render_markdown(complete_report, names)


def test_text_of_users_is_escaped(planted_report):
    report = replace(planted_report, notes=("<script>alert(1)</script> | *x*",))
    text = render_markdown(report)
    assert "<script" not in text
    assert "&lt;script>alert(1)&lt;/script> \\| \\*x\\*" in text


def test_it_begins_with_the_verdict(planted_report):
    assert render_markdown(planted_report).startswith(render_verdict(planted_report))


def test_an_interval_of_which_nothing_is_known_is_called_so(planted_report):
    attacks = tuple(replace(attack, auroc_ci95=(0.0, 1.0)) for attack in planted_report.attacks)
    text = render_markdown(replace(planted_report, attacks=attacks))
    assert text.count("no interval") >= len(attacks)
    assert "0.000 to 1.000" not in text
