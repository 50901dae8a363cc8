from dataclasses import replace

import numpy as np
import pytest

from lightning_mia.report.content.groups import MAX_FEATURED, Group, attack_groups
from lightning_mia.report.figures.drawing import Drawing
from lightning_mia.report.figures.shadow_models import draw_by_shadows, sizes_of
from lightning_mia.report.figures.style import SERIES


@pytest.fixture(scope="module")
def groups(planted_fleet_report) -> dict[str, Group]:
    return {group.access: group for group in attack_groups(planted_fleet_report)}


def legend(drawing: Drawing) -> list[str]:
    return [text.get_text() for text in drawing.figure.axes[0].get_legend().get_texts()]


def test_featured_attacks_are_drawn_with_the_best_without_shadow_models(groups):
    names = ["shadow_classifier", "rmia", "bavaria", "lira_offline", "lira"]
    for drawing in draw_by_shadows(groups["grey-box"]):
        assert legend(drawing) == ["pretext_loss, no shadow models", *names]


def test_others_take_the_free_colours_if_few_featured_attacks_use_shadow_models(groups):
    group = groups["black-box"]
    using = [one for one in group.featured if one.n_shadows]
    assert 0 < len(using) < MAX_FEATURED
    drawing = draw_by_shadows(group)[0]
    assert legend(drawing)[1 : 1 + len(using)] == [one.name for one in using]
    assert len(legend(drawing)) == 1 + MAX_FEATURED
    colours = {line.get_label(): line.get_color() for line in drawing.figure.axes[0].lines}
    for one in using:
        assert colours[one.name] == SERIES[group.series(one)], "as in the ROC figure"
    assert len({colours[name] for name in legend(drawing)[1:]}) == MAX_FEATURED


def test_points_and_intervals_are_those_of_the_results(groups):
    attack = groups["grey-box"].featured[0]
    auroc, tpr = draw_by_shadows(replace(groups["grey-box"], results=(attack,), featured=(attack,)))
    lines = auroc.figure.axes[0].lines
    (curve,) = [line for line in lines if line.get_label() == attack.name]
    np.testing.assert_allclose(curve.get_xdata(), [2, 4, 8, 16])
    np.testing.assert_allclose(curve.get_ydata(), [one.auroc for one in attack.with_fewer])
    bars = [line.get_ydata() for line in lines if len(line.get_ydata()) == 2 and line.get_xdata()[0] in (2, 4, 8, 16)]
    np.testing.assert_allclose(bars, [one.auroc_ci95 for one in attack.with_fewer])
    (curve,) = [line for line in tpr.figure.axes[0].lines if line.get_label() == attack.name]
    np.testing.assert_allclose(curve.get_ydata(), [one.tpr_at_fpr[1].tpr for one in attack.with_fewer])
    assert [text.get_text() for text in auroc.figure.axes[0].get_xticklabels()] == ["2", "4", "8", "16"]


def test_undetectable_aurocs_are_grey(groups):
    (band,) = draw_by_shadows(groups["grey-box"])[0].figure.axes[0].patches
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.5, 0.575))
    assert not draw_by_shadows(groups["grey-box"])[1].figure.axes[0].patches


def test_the_label_describes_the_figure(groups):
    auroc, tpr = draw_by_shadows(groups["open-weights"])
    assert auroc.label.startswith(
        "AUROC by number of shadow models, utterance level, open-weights: lira_surrogate_head "
    )
    last = groups["open-weights"].featured[0].with_fewer[-1]
    assert f"{last.auroc:.2f} with 16;" in auroc.label
    assert tpr.label.startswith("TPR at FPR 1 % by number of shadow models")
    assert (auroc.tag, tpr.tag) == (
        "shadow_models/auroc/utterance/open-weights",
        "shadow_models/tpr/utterance/open-weights",
    )


@pytest.mark.parametrize("bounds", [(None, None), (0.0, 1.0)])
def test_unknown_intervals_are_not_drawn(groups, bounds):
    attack = groups["grey-box"].featured[0]
    fewer = tuple(replace(one, auroc_ci95=bounds, tpr_at_fpr=()) for one in attack.with_fewer)
    attack = replace(attack, with_fewer=fewer, tpr_at_fpr=())
    (auroc,) = draw_by_shadows(replace(groups["grey-box"], results=(attack,), featured=(attack,)))
    assert len(auroc.figure.axes[0].lines) == 3  # chance, the line, its points


def test_a_single_size_has_no_figure(groups):
    attacks = tuple(replace(one, with_fewer=one.with_fewer[-1:]) for one in groups["grey-box"].results)
    group = replace(groups["grey-box"], results=attacks, featured=attacks[:4])
    assert draw_by_shadows(group) == ()
    assert sizes_of(group) == [16]
    assert sizes_of(groups["grey-box"]) == [2, 4, 8, 16]
