import pandas as pd

from lightning_mia.splits.sampling.recordings import equalise_queries


def make_rows(**sizes: int) -> pd.DataFrame:
    """Make member speakers (in…) and non-member speakers (out…)."""
    return pd.DataFrame(
        [(f"{s}-{i}", s, s.startswith("in")) for s, size in sizes.items() for i in range(size)],
        columns=["id", "speaker", "target"],
    )


def test_every_speaker_has_equally_many_queries():
    chosen = equalise_queries(make_rows(in1=5, in2=9, out1=4, out2=30))
    assert chosen["speaker"].value_counts().to_dict() == {"in1": 4, "in2": 4, "out1": 4, "out2": 4}


def test_one_speaker_in_ten_with_few_recordings_is_excluded():
    sizes = {f"in{i}": 20 for i in range(10)} | {f"out{i}": 20 for i in range(10)}
    assert equalise_queries(make_rows(**sizes | {"in3": 3}))["speaker"].value_counts().eq(20).all()
    chosen = equalise_queries(make_rows(**sizes | {"in3": 3, "in4": 4}))
    assert chosen["speaker"].nunique() == 19
    assert chosen["speaker"].value_counts().eq(4).all()


def test_speakers_with_one_recording_are_excluded():
    assert set(equalise_queries(make_rows(in1=1, in2=2, out1=3))["speaker"]) == {"in2", "out1"}


def test_the_choice_is_independent_of_membership():
    rows = make_rows(in1=10, in2=3, out1=10, out2=10)
    swapped = rows.assign(target=~rows["target"])
    assert set(equalise_queries(rows)["id"]) == set(equalise_queries(swapped)["id"])
    assert set(equalise_queries(rows.sample(frac=1, random_state=0))["id"]) == set(equalise_queries(rows)["id"])


def test_one_class_alone_has_no_queries():
    assert equalise_queries(make_rows(in1=10, in2=3)).empty
    assert equalise_queries(make_rows()).empty
