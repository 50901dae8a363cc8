import pytest

from lightning_mia.splits import SpeakerDesign, Split
from lightning_mia.utilities.errors import InputError


def check_invariants(split: Split, contents: dict[str, str]) -> None:
    """Check the invariants of every drawn speaker-level split."""
    table = split.table
    challenge = table[table["role"] != "auxiliary"]
    assert table["id"].is_unique
    assert table["id"].map(contents).is_unique
    assert not set(challenge["speaker"]) & set(table["speaker"][table["role"] == "auxiliary"])
    assert (table.groupby("speaker")[["target", *split.shadows]].nunique() == 1).all(axis=None)
    assert challenge.groupby(["speaker", "part"]).size().unstack().nunique().eq(1).all()
    for model in ("target", *split.shadows):
        assert challenge.drop_duplicates("speaker")[model].mean() == 0.5
        assert len(split.training_ids(model)) == len(split.training_ids())
        trained = table[table["id"].isin(split.training_ids(model))]
        assert trained[model].all()
        assert (trained["part"] == "trained").all()
    assert set(table["id"][table["trained"]]) == set(split.training_ids())
    held_back = challenge["target"] & (challenge["part"] == "held_back")
    assert (challenge["role"] == held_back.map({True: "held_back"}).fillna(
        challenge["target"].map({True: "member", False: "nonmember"}))).all()  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("speakers", "same_audio"),
    [
        ((40,) * 20, []),
        ((4,) * 9, []),
        ((1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 40, 40, 40), []),
        ((8,) * 12, [{"a-001", "b-001"}, {"c-001", "c-002", "c-003"}, {"a-005", "l-005"}]),
    ],
)
@pytest.mark.parametrize("sizes", [(40, 10), (8, 1)])
def test_invariants(make_corpus, speakers, same_audio, sizes):
    table, contents = make_corpus(*speakers, same_audio=same_audio)
    for seed in range(5):
        split = SpeakerDesign(*sizes).draw(table, contents, n_shadows=3, seed=seed)
        check_invariants(split, contents)
    assert (split.level, split.levels, split.drawn) == ("speaker", ("speaker",), True)


def test_requested_sizes_are_exact(make_corpus):
    split = SpeakerDesign(12, 3, trained_per_speaker=7, held_back_per_speaker=5).draw(*make_corpus(*(30,) * 20))
    roles = split.table["role"].value_counts()
    assert roles.to_dict() == {"member": 6 * 7, "held_back": 6 * 5, "nonmember": 6 * 12, "auxiliary": 3 * 12}


@pytest.mark.parametrize(
    ("n_units", "n_auxiliary", "expected"),
    [
        (8, 0, (14, 6)),  # the eighth largest speaker has 20 recordings
        (8, 2, (4, 2)),  # the tenth 6
        (10, 2, (2, 2)),  # the twelfth 4
    ],
)
def test_parts_are_the_largest_that_enough_speakers_have(make_corpus, n_units, n_auxiliary, expected):
    sizes = (1, 4, 4, 6, 8, 20, 25, 40, 40, 40, 40, 40, 40)
    split = SpeakerDesign(n_units, n_auxiliary, 28, 12).draw(*make_corpus(*sizes))
    parts = split.table[split.table["target"]].groupby(["speaker", "part"]).size().unstack()
    assert tuple(parts[["trained", "held_back"]].iloc[0]) == expected
    assert split.table["speaker"].nunique() == n_units + n_auxiliary


def test_the_challenge_set_has_equally_many_recordings_per_speaker(make_corpus):
    split = SpeakerDesign(10, 2, 6, 3).draw(*make_corpus(*(12,) * 15), seed=4)
    assert split.parts("speaker") == ("held_back", "trained")
    for part, n in (("held_back", 3), ("trained", 6)):
        challenge = split.challenge("speaker", part)
        assert challenge["unit_id"].equals(challenge["speaker"].rename("unit_id"))
        assert challenge["unit_id"].value_counts().eq(n).all()
        assert challenge.drop_duplicates("unit_id")["member"].sum() == 5
        parts = split.table.set_index("id")["part"]
        assert (challenge["id"].map(parts) == part).all()
    assert split.challenge("speaker").equals(split.challenge("speaker", "held_back"))
    assert not set(split.challenge("speaker")["id"]) & set(split.training_ids())


@pytest.mark.slow
def test_queries_do_not_depend_on_membership(make_corpus):
    # The parts are fixed before membership is drawn: an IN speaker's parts are drawn as an OUT speaker's.
    table, contents = make_corpus(*(6,) * 8)
    held_back = {True: 0, False: 0}
    for seed in range(80):
        rows = SpeakerDesign(8, 0, 3, 3).draw(table, contents, seed=seed).table
        row = rows[rows["id"] == "a-000"].iloc[0]
        held_back[bool(row["target"])] += row["part"] == "held_back"
    assert abs(held_back[True] - held_back[False]) < 4 * (40**0.5)
    assert min(held_back.values()) > 8


def test_utterance_level_of_a_speaker_design(make_corpus):
    split = SpeakerDesign(10, 2, 6, 3).draw(*make_corpus(*(12,) * 15))
    challenge = split.challenge("utterance")
    assert len(challenge) == 10 * 6
    assert challenge["member"].mean() == 0.5
    assert set(challenge["id"][challenge["member"]]) == set(split.training_ids())


def test_the_first_of_identical_recordings_is_kept(make_corpus, caplog):
    table, contents = make_corpus(*(6,) * 8, same_audio=[{"a-001", "b-001"}, {"c-001", "c-002"}])
    rows = SpeakerDesign(8, 0, 20, 10).draw(table, contents).table
    assert not rows["id"].isin(["b-001", "c-002"]).any()
    assert any("2 copies of other recordings are excluded" in message for message in caplog.messages)


def test_the_split_depends_on_the_seed_but_not_on_row_order_or_shadow_models(make_corpus):
    table, contents = make_corpus(*(9,) * 12)
    split = SpeakerDesign().draw(table, contents, n_shadows=2, seed=1)
    again = SpeakerDesign().draw(table.sample(frac=1, random_state=0), contents, n_shadows=7, seed=1)
    assert again.sha256 == split.sha256
    assert again.table[split.table.columns].equals(split.table)
    assert SpeakerDesign().draw(table, contents, seed=2).sha256 != split.sha256


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((40,), "1 speaker"),
        ((40,) * 7, "has 7 usable speakers"),
        ((40,) * 7 + (3,) * 9, "has 7 usable"),
    ],
)
def test_unsuitable_corpora_are_rejected_in_one_line(make_corpus, sizes, message):
    with pytest.raises(InputError, match=message) as error:
        SpeakerDesign().draw(*make_corpus(*sizes))
    assert "\n" not in str(error.value)


def test_parts_of_one_recording_are_rejected():
    with pytest.raises(InputError, match="held_back_per_speaker must be at least 2, but are 20 and 1"):
        SpeakerDesign(held_back_per_speaker=1)
