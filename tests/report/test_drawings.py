from dataclasses import replace

import numpy as np

from lightning_mia.report.drawings import draw
from lightning_mia.report.figures import MOST_CURVES, histogram_figure


def test_groups_come_by_level_and_access_and_keep_the_order_within(planted_report):
    plates = draw(planted_report, planted_report.attacks[::-1])
    assert [(plate.group.level, plate.group.access) for plate in plates] == [
        ("utterance", "black-box"),
        ("utterance", "grey-box"),
        ("speaker", "black-box"),
        ("speaker", "grey-box"),
    ]
    assert [r.name for r in plates[0].group.results] == [
        "utterance_similarity_layer1",
        "utterance_similarity",
    ]


def test_tags_are_unique_and_every_result_has_its_histogram(planted_report):
    plates = (*draw(planted_report, planted_report.attacks), *draw(planted_report, planted_report.controls))
    tags = [drawing.tag for plate in plates for drawing in (*plate.rocs, *plate.histograms)]
    assert len(tags) == len(set(tags))
    histograms = {f"scores/{r.level}/{r.name}" for r in (*planted_report.attacks, *planted_report.controls)}
    assert histograms <= set(tags)


def test_attacks_are_drawn_beside_the_blind_baseline(planted_report):
    (plate,) = draw(planted_report, [planted_report.attacks[2]])
    for drawing in plate.rocs:
        (axes,) = drawing.figure.axes
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["blind", "pretext_loss"]
    assert [drawing.figure.axes[0].get_xscale() for drawing in plate.rocs] == ["linear", "log"]


def test_more_curves_than_colours_are_drawn_in_several_figures(planted_report):
    n = MOST_CURVES + 1
    attacks = tuple(replace(planted_report.attacks[0], name=f"attack_{i}") for i in range(n))
    scores = tuple(replace(planted_report.scores[0], name=f"attack_{i}") for i in range(n))
    report = replace(planted_report, attacks=attacks, controls=(), scores=scores)
    (plate,) = draw(report, report.attacks)
    assert [len(drawing.figure.axes[0].get_legend().get_texts()) for drawing in plate.rocs] == [6, 6, 1, 1]
    assert plate.group.place(attacks[-1]) == 0


def test_a_histogram_counts_every_unit_and_an_outlier_in_the_last_bin(planted_report):
    scores = planted_report.scores[2]
    values = scores.values.copy()
    values[0] = 1e6
    members, outline, nonmembers = histogram_figure(replace(scores, values=values)).axes[0].patches
    for stairs in (members, outline, nonmembers):
        np.testing.assert_allclose(stairs.get_data().values.sum(), 1.0)
    assert members.get_data().edges[-1] < 100


def test_equal_scores_can_be_drawn(planted_report):
    scores = planted_report.scores[2]
    figure = histogram_figure(replace(scores, values=np.full(len(scores), 3.0)))
    assert figure.axes[0].get_xlim() == (2.5, 3.5)
