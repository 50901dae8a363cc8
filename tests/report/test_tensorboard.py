import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_mia.report.content.numbers import with_zeros
from lightning_mia.report.figures.drawn_groups import draw_attacks
from lightning_mia.report.markdown import render_markdown
from lightning_mia.report.templates import escape_markdown
from lightning_mia.report.tensorboard import scalars, scalars_by_shadows, write_tensorboard


@pytest.fixture(scope="module")
def events(tmp_path_factory, planted_report):
    folder = tmp_path_factory.mktemp("report") / "tensorboard"
    groups = draw_attacks(planted_report)[1:2]
    for _ in range(2):  # the second replaces the first
        write_tensorboard(folder, planted_report, groups)
    assert len(list(folder.iterdir())) == 1
    assert [path.name for path in folder.parent.iterdir()] == ["tensorboard"]
    return EventAccumulator(str(folder)).Reload()


def test_every_number_is_written(events, planted_report):
    written = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    expected = dict(scalars(planted_report))
    assert written == pytest.approx(expected, rel=1e-6)
    assert expected["audit/utterance/pretext_loss/auroc"] == planted_report.attacks[2].auroc
    assert expected["audit/speaker/pretext_loss/tpr_at_fpr_0.01"] == 0.015
    assert expected["controls/speaker/blind/auroc"] == planted_report.controls[1].auroc
    assert "controls/utterance/blind/p_value_corrected" not in expected


def test_figures_and_verdict_are_written(events, planted_report):
    assert set(events.Tags()["images"]) == {
        "roc/utterance/grey-box",
        "roc_log/utterance/grey-box",
        "scores/utterance/pretext_loss",
    }
    (tag,) = [tag for tag in events.Tags()["tensors"] if tag.startswith("verdict")]
    text = events.Tensors(tag)[0].tensor_proto.string_val[0].decode()
    assert text.startswith("# Leak\n")
    assert escape_markdown(with_zeros(planted_report.verdict.reason)) in text
    assert render_markdown(planted_report).startswith(text)


def test_shadow_models_add_means_and_curves(tmp_path, small_fleet_report):
    write_tensorboard(tmp_path / "tensorboard", small_fleet_report, draw_attacks(small_fleet_report))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    attack = small_fleet_report.attacks[0]
    turns = events.Scalars(f"audit/utterance/{attack.name}/in_turn_auroc_mean")
    assert turns[0].value == pytest.approx(attack.in_turn.auroc_mean)
    curve = events.Scalars(f"shadow_models/utterance/{attack.name}/auroc")
    assert [(one.step, pytest.approx(one.value)) for one in curve] == [
        (one.n_shadows, one.auroc) for one in attack.with_fewer
    ]
    assert {tag for tag, _, _ in scalars_by_shadows(small_fleet_report)} <= set(events.Tags()["scalars"])
    assert {"shadow_models/auroc/utterance/grey-box", "shadow_models/tpr/utterance/grey-box"} <= set(
        events.Tags()["images"]
    )
