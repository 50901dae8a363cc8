from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lightning_mia.evaluation.scores import Family
from lightning_mia.report.content.groups import Group, attack_groups
from lightning_mia.report.figures.attacks import (
    MAX_CURVES,
    histogram_figure,
    histogram_scale,
    linear_grid,
    logarithmic_grid,
)
from lightning_mia.report.figures.drawing import ResultFigures, draw_results
from lightning_mia.report.figures.drawn_groups import draw_attacks, draw_controls
from lightning_mia.report.figures.style import SERIES


@pytest.mark.slow
def test_tags_are_unique_and_every_featured_result_has_its_histogram(planted_report):
    groups = (*draw_attacks(planted_report), *draw_controls(planted_report))
    tags = [drawing.tag for one in groups for drawing in (*one.featured.rocs, *one.featured.histograms)]
    assert len(tags) == len(set(tags))
    histograms = {f"scores/{r.level}/{r.name}" for r in (*planted_report.attacks, *planted_report.controls)}
    assert histograms <= set(tags)


def test_attacks_are_drawn_with_the_blind_baseline(planted_report):
    group = attack_groups(planted_report)[1]
    for drawing in draw_results(planted_report, group, group.results).rocs:
        (axes,) = drawing.figure.axes
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [
            "FPR decided by fewer than 10 non-members",
            "FPR 1 %",
            "blind",
            "pretext_loss, with 95 % band",
        ]
    assert [one.figure.axes[0].get_xscale() for one in draw_results(planted_report, group, group.results).rocs] == [
        "linear",
        "log",
    ]


def test_only_the_best_curve_has_a_band_and_what_cannot_be_resolved_is_grey(planted_fleet_report):
    group = attack_groups(planted_fleet_report)[2]
    for drawing in draw_results(planted_fleet_report, group, group.featured).rocs:
        (axes,) = drawing.figure.axes
        (band,) = axes.collections
        assert [text.get_text() for text in axes.get_legend().get_texts()][3:5] == [
            f"{group.featured[0].name}, with 95 % band",
            group.featured[1].name,
        ]
        np.testing.assert_allclose(band.get_facecolor()[0][:3], to_rgb(SERIES[0]))
        (zone,) = axes.patches
        assert zone.get_x() + zone.get_width() == pytest.approx(10 / group.featured[0].n_nonmembers)
        (fpr,) = [line for line in axes.lines if line.get_label() == "FPR 1 %"]
        assert set(fpr.get_xdata()) == {0.01}


def test_the_legend_is_outside_the_curves(planted_fleet_report):
    group = attack_groups(planted_fleet_report)[2]
    for drawing in draw_results(planted_fleet_report, group, group.featured).rocs:
        (axes,) = drawing.figure.axes
        drawing.figure.canvas.draw()
        legend = axes.get_legend().get_window_extent()
        assert legend.y0 >= axes.get_window_extent().y1
        assert legend.y1 <= drawing.figure.bbox.y1


def test_a_histogram_has_axes_and_a_scale_that_shows_something(planted_report):
    scores = planted_report.scores[2]
    rng = np.random.default_rng(0)
    spike = np.where(rng.random(len(scores)) < 0.03, 1000.0, 1.0) * rng.random(len(scores))
    for values, name in (
        (scores.values, "score"),
        (spike, "rank of the score"),
        (1 / (1 + np.exp(-6 * scores.values - 9)), "logit of the score"),
        (np.round(rng.random(len(scores))), "score"),
    ):
        (axes,) = histogram_figure(replace(scores, values=values)).axes
        assert (axes.get_xlabel(), axes.get_ylabel()) == (name, "share of units")
        assert len(axes.get_yticks()) > 1
        assert axes.spines["left"].get_visible()


def test_ranks_and_logits_keep_the_order_of_scores():
    values = np.array([*np.linspace(0, 1e-3, 95), 500.0, 600.0, 700.0, 800.0, 900.0])
    ranks, name = histogram_scale(values)
    assert name == "rank of the score"
    assert np.all(np.diff(ranks) > 0)
    assert 0 < ranks[0] < ranks[-1] < 1


def test_more_curves_than_colours_are_drawn_in_several_figures(planted_report):
    n = MAX_CURVES + 1
    attacks = tuple(replace(planted_report.attacks[0], name=f"attack_{i}") for i in range(n))
    scores = tuple(replace(planted_report.scores[0], name=f"attack_{i}") for i in range(n))
    report = replace(planted_report, attacks=attacks, controls=(), scores=scores)
    figures = draw_results(report, Group(Family("utterance", "", "black-box"), attacks, attacks), attacks)
    assert [len(drawing.figure.axes[0].get_legend().get_texts()) for drawing in figures.rocs] == [8, 8, 3, 3]
    assert [drawing.tag for drawing in figures.rocs][::2] == ["roc/utterance/black-box", "roc/utterance/black-box/2"]


def test_without_results_there_are_no_figures(planted_report):
    assert draw_results(planted_report, attack_groups(planted_report)[0], ()) == ResultFigures()


@pytest.mark.slow
def test_other_attacks_have_their_own_figures_and_other_controls_have_none(planted_fleet_report):
    for drawn in draw_attacks(planted_fleet_report):
        for figures, results in ((drawn.featured, drawn.group.featured), (drawn.others, drawn.group.others)):
            assert [drawing.caption for drawing in figures.histograms] == [result.name for result in results]
    (controls,) = draw_controls(planted_fleet_report)
    assert len(controls.featured.histograms) == 7 < len(planted_fleet_report.controls)
    assert controls.others == ResultFigures()


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


@pytest.mark.parametrize("n", [4, 20, 200, 5000])
def test_grids_contain_only_possible_rates(n):
    for grid, first, most in ((linear_grid(n), 0.0, 101), (logarithmic_grid(n), 1 / n, 61)):
        assert grid[0] == first
        assert grid[-1] == 1.0
        assert len(grid) <= most
        assert np.all(np.diff(grid) > 0)
        np.testing.assert_allclose(grid * n, np.round(grid * n))
