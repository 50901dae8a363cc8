from dataclasses import replace

import pytest

from lightning_mia.report.content.subject import configs, subject


def test_the_subject_names_author_model_epochs_corpus_and_config(planted_report):
    report = replace(planted_report, title="Voice assistant", by="Privacy team", corpus="Manifest, M.csv")
    assert subject(report) == (
        ("By", "Privacy team"),
        ("Model", "hubert, 126\u2009340 parameters"),
        ("Epochs", "60"),
        ("Corpus", "Manifest, M.csv"),
        ("Config", "demo.yaml"),
        ("Scored", "2026-03-01"),
    )


def test_unknown_facts_are_left_out(planted_blind_report):
    assert subject(planted_blind_report) == ()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("lightning-mia audit -c configs/audit/tera.yaml -c '/home/j d/more.yaml'", ("tera.yaml", "more.yaml")),
        ("lightning-mia audit --config=a.yaml -c=b.yaml", ("a.yaml", "b.yaml")),
        ("lightning-mia audit -c", ()),
        ("lightning-mia audit 'cut", ()),
        ("", ()),
    ],
)
def test_configs_are_read_from_the_command(command, expected):
    assert configs(command) == expected
