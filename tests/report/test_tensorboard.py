import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_mia.evaluation.results import headline_rate
from lightning_mia.report.content.numbers import with_zeros
from lightning_mia.report.figures.drawn_groups import draw_attacks
from lightning_mia.report.markdown import render_markdown
from lightning_mia.report.templates import escape_markdown
from lightning_mia.report.tensorboard import scalars_by_shadows, write_tensorboard


@pytest.fixture(scope="module")
def events(tmp_path_factory, planted_report):
    folder = tmp_path_factory.mktemp("report") / "tensorboard"
    groups = draw_attacks(planted_report)[1:2]
    for _ in range(2):  # the second replaces the first
        write_tensorboard(folder, planted_report, groups)
    assert len(list(folder.iterdir())) == 1
    assert [path.name for path in folder.parent.iterdir()] == ["tensorboard"]
    return EventAccumulator(str(folder)).Reload()


def test_the_headline_is_a_metric_and_single_figures_are_no_charts(events, planted_report):
    written = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    best = max(planted_report.attacks, key=lambda attack: attack.auroc)
    assert written == pytest.approx(
        {"verdict/auroc": best.auroc, "verdict/tpr_at_fpr_0.01": headline_rate(best.tpr_at_fpr).tpr}
    )
    assert min(written) > "train/loss"  # TensorBoard opens on the training


def test_all_figures_stand_in_one_table(events, planted_report):
    text = events.Tensors("figures/text_summary")[0].tensor_proto.string_val[0].decode()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert len(rows) == 2 + len(planted_report.attacks) + len(planted_report.controls)
    for attack in planted_report.attacks:
        (row,) = [row for row in rows if row[0] == attack.level and row[2] == attack.name]
        assert float(row[3]) == pytest.approx(attack.auroc, abs=0.005)


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


def test_shadow_models_add_curves(tmp_path, small_fleet_report):
    write_tensorboard(tmp_path / "tensorboard", small_fleet_report, draw_attacks(small_fleet_report))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    attack = small_fleet_report.attacks[0]
    curve = events.Scalars(f"with_shadow_models/utterance/{attack.name}/auroc")
    assert [(one.step, pytest.approx(one.value)) for one in curve] == [
        (one.n_shadows, one.auroc) for one in attack.with_fewer
    ]
    assert {tag for tag, _, _ in scalars_by_shadows(small_fleet_report)} <= set(events.Tags()["scalars"])
    assert {"shadow_models/auroc/utterance/grey-box", "shadow_models/tpr/utterance/grey-box"} <= set(
        events.Tags()["images"]
    )
