import pytest

from lightning_mia.training.parallel.job_progress import JobProgress, JobsBar
from lightning_mia.utilities import progress_bar


class FakeTrainer:
    """The attributes of a Trainer that the callbacks read."""

    def __init__(self, steps: float, done: int = 0) -> None:
        self.estimated_stepping_batches, self.global_step = steps, done
        self.num_predict_batches = [4]

    def train(self, callback: object, steps: int) -> None:
        callback.on_train_start(self, None)
        for _ in range(steps):
            self.global_step += 1
            callback.on_train_batch_end(self, None, None, None, 0)

    def probe(self, callback: object, batches: int) -> None:
        for batch in range(batches):
            callback.on_predict_batch_end(self, None, None, None, batch)
        callback.on_predict_end(self, None)


def test_parts_have_equal_weights_and_sum_to_one() -> None:
    shares: list[float] = []
    progress = JobProgress(shares.append, 3)
    FakeTrainer(10).train(progress.training(), 10)
    assert shares == pytest.approx([1 / 30] * 10)
    callback = progress.probing()
    FakeTrainer(10).probe(callback, 4)
    assert sum(shares) == pytest.approx(2 / 3)
    FakeTrainer(10).probe(callback, 2)
    assert sum(shares) == pytest.approx(2 / 3 + 1 / 6)
    progress.update(1.0)
    assert sum(shares) == pytest.approx(1)


def test_a_resumed_training_starts_where_it_stopped() -> None:
    shares: list[float] = []
    progress = JobProgress(shares.append, 1)
    FakeTrainer(10, done=6).train(progress.training(), 1)
    assert shares == pytest.approx([0.6, 0.1])


@pytest.mark.parametrize("steps", [float("inf"), 0, -1])
def test_a_training_of_unknown_length_is_reported_at_its_end(steps: float) -> None:
    shares: list[float] = []
    progress = JobProgress(shares.append, 1)
    FakeTrainer(steps).train(progress.training(), 3)
    assert not shares
    progress.update(1.0)
    assert shares == [1.0]


def test_one_bar_counts_models(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "_is_drawn", lambda file: True)  # as in a terminal
    with JobsBar("Shadow models", 4, enabled=True) as bar:
        for _ in range(8):
            bar.advance(0.5)
    shown = capsys.readouterr().err
    assert shown.rstrip().endswith("]")
    assert "Shadow models: 100%" in shown
    assert "4.0/4 models" in shown
    with JobsBar("Shadow models", 4, enabled=False) as bar:
        bar.advance(4)
    assert capsys.readouterr().err == ""


def test_rounded_shares_do_not_exceed_the_total(recwarn: pytest.WarningsRecorder) -> None:
    with JobsBar("Shadow models", 1, enabled=True) as bar:
        for _ in range(9):
            bar.advance(1 / 9)  # together 1.0000000000000002
        bar.bar.refresh()
        assert bar.bar.n == 1
    assert not recwarn.list  # tqdm's: clamping frac to range [0, 1]
