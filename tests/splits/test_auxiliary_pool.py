import numpy as np
import pandas as pd
import pytest

from lightning_mia.splits import SpeakerDesign, Split, UtteranceDesign, predefined
from lightning_mia.splits.auxiliary_pool import MIN_AUXILIARY, draw_from_pool
from lightning_mia.utilities.errors import InputError

SPEAKERS = SpeakerDesign(n_units=8, n_auxiliary=20, trained_per_speaker=3, held_back_per_speaker=2)


def drawn(make_corpus, level: str, n_shadows: int = 4, seed: int = 0) -> Split:
    if level == "utterance":
        split = UtteranceDesign(24, 40).draw(*make_corpus(*(20,) * 6), seed=seed)
    else:
        split = SPEAKERS.draw(*make_corpus(*(5,) * 30), seed=seed)
    return draw_from_pool(split, n_shadows, seed)


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_shadow_models_are_trained_on_pool_recordings_only(make_corpus, level):
    for seed in range(5):
        split = drawn(make_corpus, level, seed=seed)
        challenge = set(split.table["id"][split.table["role"] != "auxiliary"])
        pool = split.pool()
        assert pool is not None
        assert set(pool["id"]).isdisjoint(split.auxiliary_ids())
        assert set(pool["id"]).isdisjoint(challenge)
        assert challenge | set(pool["id"]) | set(split.auxiliary_ids()) == set(split.table["id"])
        units = split.table.groupby("unit")
        assert (units[split.shadows].nunique() == 1).all(axis=None)
        assert split.auxiliary()["id"].isin(split.auxiliary_ids()).all()
        for name in split.shadows:
            ids = split.training_ids(name)
            assert set(ids) <= set(pool["id"])
            assert len(ids) == len(split.training_ids())
            assert split.table.set_index("id").loc[ids, name].all()


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_every_pool_unit_is_in_for_exactly_one_model_of_a_pair(make_corpus, level):
    split = drawn(make_corpus, level)
    pool = split.pool()
    table = split.table.set_index("id").loc[pool["id"]]
    for k in range(0, 4, 2):
        np.testing.assert_array_equal(table[f"shadow_{k:03d}"], ~table[f"shadow_{k + 1:03d}"])
    units = 24 if level == "utterance" else 8
    assert pool["unit_id"].nunique() == units
    assert not table["shadow_000"].equals(table["shadow_002"])


def test_more_shadow_models_do_not_change_the_first_ones(make_corpus):
    small, large = (drawn(make_corpus, "utterance", n_shadows) for n_shadows in (2, 6))
    pd.testing.assert_frame_equal(small.pool(), large.pool())
    pd.testing.assert_frame_equal(small.table, large.table.drop(columns=large.shadows[2:]))
    assert small.sha256 == large.sha256


def test_a_pool_does_not_change_the_challenge_set(make_corpus):
    split = drawn(make_corpus, "utterance")
    plain = UtteranceDesign(24, 40).draw(*make_corpus(*(20,) * 6))
    pd.testing.assert_frame_equal(split.table.drop(columns=split.shadows), plain.table)
    assert split.sha256 == plain.sha256
    assert plain.pool() is None


def test_copies_do_not_change_the_number_of_training_recordings(make_corpus):
    """Count both copies of members; exclude auxiliary copies."""
    copies = [{f"{s}-{i:03d}", f"{s}-{i + 1:03d}"} for s in "abcdef" for i in range(0, 8, 2)]
    sizes = set()
    for seed in range(5):
        split = UtteranceDesign(16, 60).draw(*make_corpus(*(20,) * 6, same_audio=copies), seed=seed)
        split = draw_from_pool(split, 2, seed)
        assert {len(split.training_ids(name)) for name in ("target", *split.shadows)} == {len(split.training_ids())}
        assert split.pool()["unit_id"].is_unique
        assert set(split.auxiliary()["id"]).isdisjoint(split.pool()["id"])
        sizes.add(len(split.training_ids()) - 8)
    assert max(sizes) > 0  # some member units had two recordings


def test_too_small_a_pool_is_rejected_with_numbers(make_corpus):
    split = UtteranceDesign(24, 24 + MIN_AUXILIARY - 1).draw(*make_corpus(*(20,) * 6))
    message = "need 24 auxiliary units, and 10 must remain, but there are 33: raise data.design.n_auxiliary to 34"
    with pytest.raises(InputError, match=message):
        draw_from_pool(split, 2, 0)
    sufficient = UtteranceDesign(24, 24 + MIN_AUXILIARY).draw(*make_corpus(*(20,) * 6))
    assert len(draw_from_pool(sufficient, 2, 0).auxiliary_ids()) == MIN_AUXILIARY


def test_the_pool_of_a_user_supplied_split_is_four_fifths_of_its_auxiliary_recordings() -> None:
    """By recordings, also where those of a speaker were assigned as a whole."""
    members = ["1"] * 20 + ["0"] * 20 + [""] * 100
    table = pd.DataFrame({"id": [f"{row:03d}" for row in range(140)], "member": members})
    table["speaker"] = [f"s{row % 10 if row < 40 else 10 + row % 3}" for row in range(140)]
    split = draw_from_pool(predefined(table, {name: name for name in table["id"]}), 4, seed=0)
    pool = split.pool()
    assert pool is not None and len(pool) == 80 and len(split.auxiliary_ids()) == 20
    assert pool["unit_id"].tolist() == pool["id"].tolist()
    sets = [set(split.training_ids(name)) for name in split.shadows]
    assert [len(ids) for ids in sets] == [40] * 4
    assert sets[0] | sets[1] == sets[2] | sets[3] == set(pool["id"])
    assert set(split.training_ids()).isdisjoint(pool["id"])


def test_a_user_supplied_split_needs_36_auxiliary_recordings() -> None:
    table = pd.DataFrame({"id": [f"{row:03d}" for row in range(75)], "member": ["1"] * 20 + ["0"] * 20 + [""] * 35})
    table["speaker"] = [f"s{row % 10}" for row in range(75)]
    with pytest.raises(InputError, match="need 36 or more units, but there are 35"):
        draw_from_pool(predefined(table, {name: name for name in table["id"]}), 2, seed=0)
