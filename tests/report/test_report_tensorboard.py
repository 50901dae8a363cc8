import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_mia.report.drawings import draw
from lightning_mia.report.tensorboard import scalars, write_tensorboard


@pytest.fixture(scope="module")
def events(tmp_path_factory, planted_report):
    folder = tmp_path_factory.mktemp("report") / "tensorboard"
    plates = draw(planted_report, planted_report.attacks[2:3])
    for _ in range(2):  # the second takes the place of the first
        write_tensorboard(folder, planted_report, plates)
    assert len(list(folder.iterdir())) == 1
    assert [path.name for path in folder.parent.iterdir()] == ["tensorboard"]
    return EventAccumulator(str(folder)).Reload()


def test_every_number_is_there(events, planted_report):
    written = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    expected = dict(scalars(planted_report))
    assert written == pytest.approx(expected, rel=1e-6)
    assert expected["audit/utterance/pretext_loss/auroc"] == planted_report.attacks[2].auroc
    assert expected["audit/speaker/pretext_loss/tpr_at_fpr_0.01"] == 0.015
    assert expected["controls/speaker/blind/auroc"] == planted_report.controls[1].auroc
    assert "controls/utterance/blind/p_value_corrected" not in expected


def test_the_figures_and_the_verdict_are_there(events, planted_report):
    assert set(events.Tags()["images"]) == {
        "roc/utterance/grey-box",
        "roc_log/utterance/grey-box",
        "scores/utterance/pretext_loss",
    }
    (tag,) = [tag for tag in events.Tags()["tensors"] if tag.startswith("verdict")]
    text = events.Tensors(tag)[0].tensor_proto.string_val[0].decode()
    assert text.startswith("**Leak.**")
    assert planted_report.verdict.reason in text
