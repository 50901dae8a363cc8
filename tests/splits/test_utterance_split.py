import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from lightning_mia.splits import Split, UtteranceDesign
from lightning_mia.utilities.errors import InputError


def check_invariants(split: Split, contents: dict[str, str]) -> None:
    """Check the invariants of every drawn utterance-level split."""
    table = split.table
    challenge = table[table["role"] != "auxiliary"]
    assert table["id"].is_unique
    assert table["id"].is_monotonic_increasing
    for column in ("role", "target", "trained", "unit", *split.shadows):
        assert (table.groupby(table["id"].map(contents))[column].nunique() == 1).all(), column
    for model in ("target", *split.shadows):
        units = challenge.drop_duplicates("unit")
        assert (units.groupby("stratum")[model].mean() == 0.5).all()
        assert set(split.training_ids(model)) == set(table["id"][table[model]])
        assert len(split.training_ids(model)) == len(split.training_ids())
        assert not set(split.training_ids(model)) & set(split.auxiliary_ids())
    challenge = split.challenge("utterance")
    assert challenge["member"].mean() == 0.5
    assert challenge["id"].map(contents).is_unique
    assert not set(challenge["id"]) & set(split.auxiliary_ids())
    assert set(table["role"]) <= {"member", "nonmember", "auxiliary"}
    assert (table["trained"] == (table["role"] == "member")).all()


CORPORA = {
    "even": ((30,) * 6, []),
    "uneven": ((3, 5, 11, 25, 25, 60, 90, 7), []),
    "tiny": ((4, 4), []),
    "one clip per speaker": ((1,) * 25, []),
    "odd strata": ((11, 13, 15, 17), []),
    "copies": ((20, 20, 20), [{"a-001", "a-002"}, {"b-001", "c-001", "a-003"}, {"c-005", "c-006"}]),
    "copies among few": ((5, 5, 6), [{"a-001", "b-001"}, {"a-002", "c-002"}]),
}


@pytest.mark.slow
@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("sizes", [(400, 200), (8, 0), (20, 7)])
def test_invariants(make_corpus, corpus, sizes):
    speakers, same_audio = CORPORA[corpus]
    table, contents = make_corpus(*speakers, same_audio=same_audio)
    for seed in range(5):
        split = UtteranceDesign(*sizes).draw(table, contents, n_shadows=3, seed=seed)
        check_invariants(split, contents)
        assert split.challenge("utterance").shape[0] <= sizes[0]
    assert (split.level, split.levels, split.drawn) == ("utterance", ("utterance",), True)


def test_sizes_are_exact_and_spread_over_speakers(make_corpus):
    table, contents = make_corpus(*(100,) * 7)
    split = UtteranceDesign(200, 100).draw(table, contents)
    assert len(split.challenge("utterance")) == 200
    assert len(split.auxiliary_ids()) == 100
    for role in (["auxiliary"], ["member", "nonmember"]):
        per_speaker = split.table[split.table["role"].isin(role)]["speaker"].value_counts()
        assert len(per_speaker) == 7
        assert np.ptp(per_speaker) <= 2


def test_speakers_of_few_clips_are_pooled_and_others_balanced(make_corpus):
    table, contents = make_corpus(9, 9, 10, 40)
    rows = UtteranceDesign(1000, 0).draw(table, contents).table
    assert set(rows["stratum"]) == {"pooled", "speaker c", "speaker d"}
    assert set(rows["speaker"][rows["stratum"] == "pooled"]) == {"a", "b"}
    assert rows["stratum"].value_counts().to_dict() == {"pooled": 18, "speaker c": 10, "speaker d": 40}


def test_no_more_is_dropped_than_parity_demands(make_corpus):
    table, contents = make_corpus(11, 13, 15, 17)  # their four odd units form the pool
    assert len(UtteranceDesign(1000, 0).draw(table, contents).table) == 56
    table, contents = make_corpus(12, 12, same_audio=[{"a-000", "a-001"}])  # one pair of copies and 22 other units
    rows = UtteranceDesign(1000, 0).draw(table, contents).table
    assert len(rows) == 22
    assert not rows["id"].isin(["a-000", "a-001"]).any()


def test_odd_unit_of_copies_gives_way_to_another(make_corpus):
    table, contents = make_corpus(12, 12, same_audio=[{"a-000", "a-001"}, {"a-002", "b-001"}, {"b-002", "b-003"}])
    with_copies = 0
    for seed in range(15):  # 12 units are available however the 3 pairs are assigned
        split = UtteranceDesign(12, 4).draw(table, contents, seed=seed)
        assert split.challenge("utterance").shape[0] == 12
        with_copies += (split.table["stratum"] == "2 copies, pooled").any()
    assert with_copies > 2


def test_order_of_rows_does_not_matter_but_the_seed_does(make_corpus):
    table, contents = make_corpus(20, 30, 9)
    design = UtteranceDesign(30, 10)
    split = design.draw(table, contents, seed=1)
    shuffled = table.sample(frac=1, random_state=0)
    assert design.draw(shuffled, contents, seed=1).sha256 == split.sha256
    assert design.draw(table, contents, seed=2).sha256 != split.sha256


def test_more_shadow_models_change_nothing_else(make_corpus):
    table, contents = make_corpus(20, 30, 9)
    small, large = (UtteranceDesign(40, 10).draw(table, contents, n, seed=5) for n in (3, 8))
    assert small.sha256 == large.sha256
    assert large.shadows == [f"shadow_{k:03d}" for k in range(8)]
    pd.testing.assert_frame_equal(small.table, large.table[small.table.columns])


def test_columns_follow_the_contract(make_corpus):
    split = UtteranceDesign().draw(*make_corpus(20, 20), n_shadows=2)
    contract = ["id", "speaker", "role", "trained", "target", "shadow_000", "shadow_001"]
    assert list(split.table.columns) == [*contract, "unit", "stratum", "part", "audio"]
    flags = ["trained", "target", "shadow_000", "shadow_001"]
    assert list(split.table.select_dtypes("bool").columns) == flags


@pytest.mark.slow
def test_every_unit_is_chosen_and_is_in_equally_often(make_corpus):
    table, contents = make_corpus(12, 12, 6)
    roles = pd.concat(
        [UtteranceDesign(16, 8).draw(table, contents, seed=s).table.set_index("id")["role"] for s in range(80)]
    )
    counts = roles.groupby(level=0).value_counts().unstack()
    assert len(counts) == 30
    for speakers in ("ab", "c"):  # within speakers of one size all utterances have one chance
        rows = counts[counts.index.str[0].isin(list(speakers))]
        for role in ("auxiliary", "member", "nonmember"):
            # Draws without replacement are less dispersed than a multinomial one: the test is conservative.
            assert chisquare(rows[role]).pvalue > 1e-3


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((20,), "The corpus has 1 speaker"),
        ((3, 4), "The corpus has 7 usable utterances"),
    ],
)
def test_unsuitable_corpora_are_rejected_in_one_line(make_corpus, sizes, message):
    with pytest.raises(InputError, match=message) as error:
        UtteranceDesign().draw(*make_corpus(*sizes))
    assert "\n" not in str(error.value)


def test_a_corpus_of_copies_is_rejected(make_corpus):
    table, contents = make_corpus(10, 10)
    with pytest.raises(InputError, match="has 1 usable utterances"):
        UtteranceDesign().draw(table, dict.fromkeys(contents, "silence"))


def test_missing_contents_raise_value_error(make_corpus):
    table, contents = make_corpus(10, 10)
    del contents["a-003"]
    with pytest.raises(ValueError, match="No content hash for 1 utterances, the first 'a-003'"):
        UtteranceDesign().draw(table, contents)
