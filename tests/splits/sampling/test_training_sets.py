"""Background, exposures and independent inclusion of both designs."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, chisquare

from lightning_mia.splits import SpeakerDesign, Split, UtteranceDesign
from lightning_mia.splits.auxiliary_pool import draw_from_pool
from lightning_mia.utilities.errors import InputError


def designs(**options: object) -> dict[str, UtteranceDesign | SpeakerDesign]:
    return {
        "utterance": UtteranceDesign(60, 12, **options),
        "speaker": SpeakerDesign(60, 6, trained_per_speaker=2, held_back_per_speaker=2, **options),
    }


@pytest.fixture(params=["utterance", "speaker"])
def level(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def corpus(make_corpus) -> tuple[pd.DataFrame, dict[str, str]]:
    return make_corpus(*(5,) * 80)


def test_splits_without_these_options_are_those_of_earlier_versions():
    ids = [f"s{i % 12:02d}-{i // 12:02d}" for i in range(240)]
    table, contents = pd.DataFrame({"id": ids, "speaker": [name[:3] for name in ids]}), {name: name for name in ids}
    utterances = UtteranceDesign(80, 40).draw(table, contents, n_shadows=2, seed=3)
    speakers = SpeakerDesign(8, 2, 6, 3).draw(table, contents, n_shadows=2, seed=3)
    assert utterances.sha256 == "fe0c876e1369e0443006bb93f8c9f2d7c5f74940ad8f39d45c91631a8d2f8e2b"
    assert speakers.sha256 == "a90e32ec19ad8a69e9240253e90548858fd774337be775acbc7ac1f3d7ecf07d"


def test_background_is_in_every_training_set_and_not_evaluated(corpus, level):
    split = designs(background="rest")[level].draw(*corpus, n_shadows=2, seed=1)
    background = set(split.background_ids())
    others = split.table[split.table["role"] != "background"]
    assert background == set(split.table["id"]) - set(others["id"])
    assert len(background) > 0
    for model in ("target", *split.shadows):
        assert background < set(split.training_ids(model))
        assert not set(split.training_ids(model)) & set(split.auxiliary_ids())
    assert not background & {*split.challenge(level)["id"], *split.auxiliary_ids(), *split.queried_ids()}
    assert set(split.unevaluated_ids()) == background | set(split.auxiliary_ids())
    rows = split.table[split.table["role"] == "background"]
    assert rows["trained"].all()
    assert (rows["part"] == "").all()
    if level == "utterance":
        assert len(split.table) == len(corpus[0])
    else:  # a voice in the background was trained on
        assert not set(rows["speaker"]) & set(others["speaker"])


def test_background_leaves_members_and_shadow_models_as_they_are(corpus, level):
    without, with_ = (designs(background=n)[level].draw(*corpus, n_shadows=2, seed=1) for n in ("none", 20))
    rows = with_.table[with_.table["role"] != "background"].reset_index(drop=True)
    assert len(with_.background_ids()) == 20
    pd.testing.assert_frame_equal(rows, without.table)
    assert designs(background=0)[level].draw(*corpus, seed=1).sha256 == without.sha256 != with_.sha256


def test_copies_of_evaluated_audio_are_not_in_the_background(make_corpus):
    copies = [{f"a-{i:03d}", f"b-{i:03d}"} for i in range(20)]
    table, contents = make_corpus(40, 40, same_audio=copies)
    for seed in range(5):
        split = UtteranceDesign(16, 4, background="rest").draw(table, contents, seed=seed)
        heard = {contents[name] for name in split.background_ids()}
        assert not heard & {contents[name] for name in split.queried_ids()}


def test_fewer_background_recordings_than_asked_for(corpus, level):
    with pytest.raises(InputError, match=r"^500 background recordings were asked for, but \d+ remain .*; lower"):
        designs(background=500)[level].draw(*corpus)


def test_an_empty_background_is_a_warning(make_corpus, caplog):
    UtteranceDesign(8, 0, background="rest").draw(*make_corpus(4, 4))
    assert "The background is empty" in caplog.text


def test_shadow_models_of_the_auxiliary_pool_are_trained_on_the_background(make_corpus):
    drawn = UtteranceDesign(16, 60, background=10).draw(*make_corpus(50, 50))
    split = draw_from_pool(drawn, 2, seed=0)
    assert [len(split.training_ids(model)) for model in ("target", *split.shadows)] == [18, 18, 18]
    assert len(split.auxiliary_ids()) == 60 - 16


def units(split: Split, level: str) -> pd.DataFrame:
    return split.table[split.table["part"] != ""].drop_duplicates("unit")


@pytest.mark.parametrize("inclusion", ["balanced", "independent"])
def test_exposures_divide_the_units_before_membership(corpus, level, inclusion):
    design = designs(exposures=[1, 4, 16], inclusion=inclusion, background=8)[level]
    split = design.draw(*corpus, n_shadows=4, seed=2)
    drawn = units(split, level)
    assert drawn["exposures"].value_counts().to_dict() == {1: 20, 4: 20, 16: 20}
    assert split.table.groupby("unit")["exposures"].nunique().eq(1).all()
    assert set(split.table["exposures"][split.table["part"] == ""]) == {1}
    if inclusion == "balanced":
        for model in ("target", *split.shadows):
            assert drawn[drawn[model]]["exposures"].value_counts().to_dict() == {1: 10, 4: 10, 16: 10}
            assert (
                split.times_per_epoch(split.training_ids(model)).sum()
                == split.times_per_epoch(split.training_ids()).sum()
            )


def test_exposures_are_spread_over_speakers_and_redraws_keep_them(make_corpus):
    split = UtteranceDesign(240, 0, exposures=[1, 8]).draw(*make_corpus(*(60,) * 4), seed=0)
    table = split.table
    assert (table.groupby(["speaker", "exposures"]).size() - 30).abs().max() <= 2
    ids = table["id"].to_list()
    times = pd.Series(split.unit_exposures("utterance")).loc[ids].to_numpy()
    redraws = split.redraw(ids, "utterance", 50, seed=0)
    assert all((redraws[:, times == number].sum(axis=1) == 60).all() for number in (1, 8))


@pytest.mark.slow
def test_exposures_are_a_property_of_the_unit_and_drawn_at_random(make_corpus):
    table, contents = make_corpus(*(6,) * 4)
    counts = np.zeros(24)
    for seed in range(200):
        split = UtteranceDesign(24, 0, exposures=[1, 4]).draw(table, contents, seed=seed)
        counts += split.table["exposures"].to_numpy() == 4
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exposures": [1, 4, 16], "n_units": 100}, r"exposures \[1, 4, 16\] do not divide the members: .* 50 members"),
        ({"exposures": []}, "exposures are"),
        ({"exposures": [4, 4]}, "give different numbers"),
        ({"exposures": [0, 1]}, "give 1 to 1,000"),
        ({"inclusion": "independent", "n_units": 30}, "independent needs n_units of at least 40"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        UtteranceDesign(**options)


def test_a_small_corpus_still_divides_into_groups(make_corpus, caplog):
    split = UtteranceDesign(300, 30, exposures=[1, 4, 16]).draw(*make_corpus(20, 17, 11))
    n_units = len(split.challenge("utterance"))
    assert n_units % 6 == 0
    assert f"the corpus has {n_units} and" in caplog.text


def test_an_auxiliary_pool_with_exposures_is_refused(make_corpus):
    split = UtteranceDesign(24, 60, exposures=[1, 4]).draw(*make_corpus(50, 50))
    with pytest.raises(InputError, match="see each recording once an epoch"):
        draw_from_pool(split, 2, seed=0)


@pytest.mark.slow
def test_independent_inclusion_tosses_a_coin_for_each_unit(make_corpus):
    table, contents = make_corpus(*(10,) * 6)
    shares, together = [], 0
    for seed in range(300):
        split = UtteranceDesign(40, 0, inclusion="independent").draw(table, contents, n_shadows=2, seed=seed)
        shares.append(split.table["target"].sum())
        together += split.table["target"].iloc[0] == split.table["target"].iloc[1]
        assert (split.table["shadow_000"] != split.table["shadow_001"]).all()
    assert np.var(shares) == pytest.approx(40 / 4, rel=0.3)  # binomial; 0 if balanced
    assert binomtest(int(together), 300).pvalue > 1e-3


def test_redraws_of_independent_inclusion_follow_the_coins(make_corpus, level):
    split = designs(inclusion="independent")[level].draw(*make_corpus(*(5,) * 80))
    challenge = split.challenge(level).drop_duplicates("unit_id")
    names = challenge["unit_id"].to_list()
    redraws = split.redraw(names, level, 2000, seed=0)
    assert redraws.shape == (2000, 60)
    assert redraws.sum(axis=1).var() == pytest.approx(60 / 4, rel=0.15)
    assert np.abs(redraws.mean(axis=0) - 0.5).max() < 0.06
    assert split.count_labellings(names, level) == 2**60
    assert split.draw_labels(names, level, 500, seed=0).sum(axis=1).var() == pytest.approx(60 / 4, rel=0.3)
    part = [*names[:10], *names[-10:]]  # may have been chosen by labels: their number is kept
    n_members = challenge.set_index("unit_id")["member"].loc[part].sum()
    assert (split.redraw(part, level, 100, seed=0).sum(axis=1) == n_members).all()


@pytest.mark.slow
def test_p_values_of_independent_inclusion_are_valid(make_corpus):
    table, contents = make_corpus(*(10,) * 4)
    values, n_small = np.arange(40) % 10 + 0.0, 0  # speakers differ, as a null attack may
    for seed in range(200):
        split = UtteranceDesign(40, 0, inclusion="independent").draw(table, contents, seed=seed)
        rows = split.challenge("utterance")
        observed = values[rows["member"]].mean()
        redraws = split.redraw(rows["id"].to_list(), "utterance", 99, seed=1000 + seed)
        null = [values[labels].mean() for labels in redraws]
        n_small += (1 + sum(value >= observed for value in null)) / 100 <= 0.1
    assert binomtest(n_small, 200, 0.1, alternative="greater").pvalue > 1e-3


def test_new_columns_are_saved_and_read(corpus, level, tmp_path):
    split = designs(background=5, exposures=[1, 4], inclusion="independent")[level].draw(*corpus, n_shadows=2)
    split.save(tmp_path / "split.csv")
    loaded = Split.load(tmp_path / "split.csv")
    assert loaded.sha256 == split.sha256
    assert loaded.inclusion == "independent"
    pd.testing.assert_frame_equal(loaded.table, split.table, check_dtype=False)
    text = (tmp_path / "split.csv").read_text()
    (tmp_path / "split.csv").write_text(text.replace(",4\n", ",x\n", 1))
    with pytest.raises(InputError, match="exposures is not a positive whole number"):
        Split.load(tmp_path / "split.csv")


def test_every_evaluated_unit_has_exposures(corpus, level):
    split = designs(exposures=[2, 3])[level].draw(*corpus)
    for part in split.parts(level):
        assert set(split.challenge(level, part)["unit_id"]) <= set(split.unit_exposures(level))
    assert set(split.unit_exposures(level).values()) == {2, 3}
    assert designs()[level].draw(*corpus).unit_exposures(level) is None
