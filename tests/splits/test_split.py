import dataclasses

import pytest

from lightning_mia.splits import ROLES, SpeakerDesign, Split, UtteranceDesign
from lightning_mia.splits.auxiliary_pool import draw_from_pool
from lightning_mia.utilities.errors import InputError


@pytest.fixture
def split(make_corpus) -> Split:
    return UtteranceDesign(20, 10).draw(*make_corpus(20, 20), n_shadows=2)


def test_training_sets_of_all_models(split):
    table = split.table.set_index("id")
    assert sorted(split.training_ids("shadow_000") + split.training_ids("shadow_001")) == sorted(
        split.challenge("utterance")["id"]
    )
    assert table.loc[split.training_ids()]["role"].eq("member").all()
    with pytest.raises(ValueError, match="No model 'shadow_002'"):
        split.training_ids("shadow_002")
    with pytest.raises(ValueError, match="No model 'trained'"):
        split.training_ids("trained")


def test_drawn_utterances_have_no_speaker_level(split):
    assert split.parts("utterance") == ("trained",)
    assert split.parts("speaker") == ()
    with pytest.raises(InputError, match="cannot be evaluated at speaker level"):
        split.challenge("speaker")
    with pytest.raises(ValueError, match="speaker level only"):
        split.challenge("utterance", "held_back")


def test_hash_covers_level_origin_and_every_cell_but_the_shadows(split):
    def hash_with(column: str, value: object) -> str:
        table = split.table.copy()
        table.loc[3, column] = value
        return Split(table, split.level, split.drawn).sha256

    row = split.table.loc[3]
    for column in split.table.columns:
        other = not row[column] if isinstance(row[column], bool) or column in ("trained", "target") else "other"
        if column.startswith("shadow_"):
            assert hash_with(column, not row[column]) == split.sha256
        else:
            assert hash_with(column, other) != split.sha256, column
    assert dataclasses.replace(split, level="speaker").sha256 != split.sha256
    assert dataclasses.replace(split, drawn=False).sha256 != split.sha256


def test_roles_are_those_of_the_contract(split):
    contract = {"member", "nonmember", "held_back", "auxiliary", "background", "sibling"}
    assert set(split.table["role"]) <= set(ROLES) == contract


def test_candidates_of_every_question_are_the_evaluated_recordings(split):
    assert split.candidates() == {"utterance": sorted(split.challenge("utterance")["id"])}


def test_candidates_do_not_depend_on_the_labels(make_corpus):
    table, contents = make_corpus(*[10] * 12)
    design = SpeakerDesign(n_units=12, n_auxiliary=0, trained_per_speaker=4, held_back_per_speaker=4)
    split = design.draw(table, contents)
    by_speaker = dict(zip(split.table["speaker"], split.table["target"], strict=True))
    exchanged = split.table["speaker"].map({name: not inside for name, inside in by_speaker.items()})
    roles = {"member": "nonmember", "held_back": "nonmember"}
    role = split.table["role"].where(exchanged, split.table["role"].map(lambda name: roles.get(name, name)))
    other = Split(split.table.assign(target=exchanged, role=role), split.level, split.drawn)
    assert not (split.challenge("speaker")["member"] == other.challenge("speaker")["member"]).any()
    assert list(split.candidates()) == ["speaker_held_back", "speaker_trained"]
    assert split.candidates() == other.candidates()


def test_auxiliary_recordings_are_candidates_if_shadow_models_are_trained_on_them(make_corpus):
    split = UtteranceDesign(20, 60).draw(*make_corpus(20, 20))
    auxiliary = set(split.auxiliary_ids())
    assert not auxiliary & set(split.candidates()["utterance"])
    pooled = draw_from_pool(split, 2, seed=0)
    assert auxiliary < set(pooled.candidates()["utterance"])
