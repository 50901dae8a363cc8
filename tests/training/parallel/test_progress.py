import pytest

from lightning_mia.training.parallel.progress import FleetBar, ShareDone


class Watched:
    """A Trainer, as far as a watcher looks at it."""

    def __init__(self, steps: float, done: int = 0) -> None:
        self.estimated_stepping_batches, self.global_step = steps, done
        self.num_predict_batches = [4]

    def train(self, watcher: object, steps: int) -> None:
        watcher.on_train_start(self, None)
        for _ in range(steps):
            self.global_step += 1
            watcher.on_train_batch_end(self, None, None, None, 0)

    def probe(self, watcher: object, batches: int) -> None:
        for batch in range(batches):
            watcher.on_predict_batch_end(self, None, None, None, batch)
        watcher.on_predict_end(self, None)


def test_parts_have_one_weight_and_add_up_to_one() -> None:
    told: list[float] = []
    done = ShareDone(told.append, 3)
    Watched(10).train(done.training(), 10)
    assert told == pytest.approx([1 / 30] * 10)
    watcher = done.probing()
    Watched(10).probe(watcher, 4)
    assert sum(told) == pytest.approx(2 / 3)
    Watched(10).probe(watcher, 2)
    assert sum(told) == pytest.approx(2 / 3 + 1 / 6)
    done.so_far(1.0)
    assert sum(told) == pytest.approx(1)


def test_a_resumed_training_begins_where_it_stopped() -> None:
    told: list[float] = []
    done = ShareDone(told.append, 1)
    Watched(10, done=6).train(done.training(), 1)
    assert told == pytest.approx([0.6, 0.1])


@pytest.mark.parametrize("steps", [float("inf"), 0, -1])
def test_a_training_of_no_known_length_is_told_at_its_end(steps: float) -> None:
    told: list[float] = []
    done = ShareDone(told.append, 1)
    Watched(steps).train(done.training(), 3)
    assert not told
    done.so_far(1.0)
    assert told == [1.0]


def test_there_is_one_bar_and_it_counts_models(capsys: pytest.CaptureFixture[str]) -> None:
    with FleetBar("Shadow models", 4, enabled=True) as bar:
        for _ in range(8):
            bar.advance(0.5)
    shown = capsys.readouterr().err
    assert shown.rstrip().endswith("]")
    assert "Shadow models: 100%" in shown
    assert "4.0/4 models" in shown
    with FleetBar("Shadow models", 4, enabled=False) as bar:
        bar.advance(4)
    assert capsys.readouterr().err == ""


def test_rounding_of_shares_does_not_lead_beyond_the_end(recwarn: pytest.WarningsRecorder) -> None:
    with FleetBar("Shadow models", 1, enabled=True) as bar:
        for _ in range(9):
            bar.advance(1 / 9)  # together 1.0000000000000002
        bar.bar.refresh()
        assert bar.bar.n == 1
    assert not recwarn.list  # tqdm's: clamping frac to range [0, 1]
