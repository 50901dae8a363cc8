import pytest

from lightning_mia.training.parallel.job_progress import JobProgress, JobsBar
from lightning_mia.utilities import progress_bar


def test_shares_of_a_job_sum_to_one_though_it_takes_more_or_less_than_expected() -> None:
    shares: list[float] = []
    progress = JobProgress(shares.append, total=10.0)
    with progress.task("training", 4.0):
        progress.advance(1.0)
    assert shares == pytest.approx([0.1, 1 / 7 - 0.1])  # 1 of what are 7 now
    with progress.task("answers", 6.0):
        progress.advance(3.0)
        progress.advance(9.0)
    assert all(share > 0 for share in shares)
    assert sum(shares) == pytest.approx(1)


def test_a_job_without_work_is_done_at_once() -> None:
    shares: list[float] = []
    JobProgress(shares.append, total=0.0).show()
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
