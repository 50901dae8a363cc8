from dataclasses import replace
from pathlib import Path

import pytest

from lightning_mia.attacks import default_attacks
from lightning_mia.report.content.attack_lines import LINES, attack_lines, line_of, suffixes
from tools.docs.attack_facts import PAGES

DOCS = Path(__file__).parents[3] / "docs" / "attacks"
ATTACKS = default_attacks(16, "all")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_has_a_line_and_the_page_of_the_documentation(attack):
    line = line_of(attack.name)
    assert line is not None
    assert line.page == f"{PAGES[type(attack).__name__]}.md"


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.stem)
def test_a_line_is_one_short_sentence_or_two_with_an_existing_page(line):
    assert line.idea[-1] in ".?"
    assert len(line.idea) <= 140
    assert (DOCS / line.page).is_file()


def test_the_longest_stem_counts_and_unknown_attacks_have_no_line():
    assert line_of("lira_offline_surrogate_head").stem == "lira"
    assert line_of("speaker_lira_relearn").stem == "speaker_lira"
    assert line_of("utterance_similarity_layer3").stem == "utterance_similarity"
    assert line_of("my_attack") is None
    assert line_of("relearning") is None


def test_each_line_and_suffix_comes_once(planted_fleet_report):
    attack = planted_fleet_report.attacks[0]
    names = ("rmia", "lira", "lira_offline", "rmia_surrogate_head", "own")
    attacks = [replace(attack, name=name) for name in names]
    assert [line.stem for line in attack_lines(attacks)] == ["lira", "rmia"]
    assert [end for end, _ in suffixes(attacks)] == ["_offline", "_surrogate_head"]
