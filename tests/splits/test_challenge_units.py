"""Redraws must follow the labels' distribution: p-values rest on it."""

from collections import Counter
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare, kstest, rankdata

from lightning_mia.splits import SpeakerDesign, Split, UtteranceDesign, predefined


def member_column(table, **labels: str):
    """Assign values to each speaker's utterances, cyclically."""
    position = table.groupby("speaker").cumcount()
    return table.assign(member=[labels[s][i % len(labels[s])] for s, i in zip(table["speaker"], position, strict=True)])


def units_and_labels(split: Split, level="utterance"):
    challenge = split.challenge(level).drop_duplicates("unit_id")
    return challenge["unit_id"].tolist(), challenge["member"].to_numpy()


def assert_all_possible(split: Split, units, labels, possible: set[tuple[bool, ...]], level="utterance") -> None:
    """Redraws are all possible labellings but the observed one, once each; independent draws are uniform over all."""
    redrawn = list(map(tuple, split.redraw(units, level, len(possible), seed=0).tolist()))
    assert len(redrawn) == len(possible) - 1
    assert {*redrawn, tuple(labels.tolist())} == possible
    seen = Counter(map(tuple, split.draw_labels(units, level, 20_000, seed=0).tolist()))
    assert set(seen) == possible
    assert chisquare([seen[row] for row in possible]).pvalue > 1e-3


@pytest.mark.slow
def test_utterance_design_is_uniform_over_halves_of_each_stratum(make_corpus):
    split = UtteranceDesign(8, 0).draw(*make_corpus(4, 4))
    halves = {tuple(i in chosen for i in range(8)) for chosen in combinations(range(8), 4)}
    assert_all_possible(split, *units_and_labels(split), halves)


def test_strata_and_copies_keep_their_counts(make_corpus):
    corpus = make_corpus(12, 12, 5, same_audio=[{"a-001", "b-001"}, {"a-002", "c-002"}])
    split = UtteranceDesign(1000, 0).draw(*corpus, seed=1)
    units, labels = units_and_labels(split)
    strata = split.table.set_index("id")["stratum"].loc[units].to_numpy()
    redrawn = split.redraw(units, "utterance", 200, seed=0)
    for stratum in np.unique(strata):
        assert (redrawn[:, strata == stratum].sum(axis=1) == labels[strata == stratum].sum()).all()


def test_speaker_design_permutes_speakers_and_moves_their_utterances_together(make_corpus):
    split = SpeakerDesign(8, 0, 2, 2).draw(*make_corpus(*(4,) * 8))
    speakers, labels = units_and_labels(split, "speaker")
    halves = {tuple(i in chosen for i in range(8)) for chosen in combinations(range(8), 4)}
    assert_all_possible(split, speakers, labels, halves, "speaker")
    redrawn = split.redraw(speakers, "speaker", 50, seed=0)
    challenge = split.challenge("utterance")
    by_utterance = split.redraw(challenge["unit_id"], "utterance", 50, seed=0)
    position = [speakers.index(speaker) for speaker in challenge["speaker"]]
    np.testing.assert_array_equal(by_utterance, redrawn[:, position])


def test_predefined_one_sided_speakers_move_as_blocks(make_corpus):
    table, contents = make_corpus(2, 3, 4, 5, 6)
    split = predefined(member_column(table, a="1", b="0", c="1", d="0", e="0"), contents)
    speakers = split.challenge("utterance")["speaker"]
    blocks = {tuple(s in pair for s in speakers) for pair in combinations("abcde", 2)}
    assert_all_possible(split, *units_and_labels(split), blocks)


def test_predefined_two_sided_speakers_are_permuted_within(make_corpus):
    table, contents = make_corpus(4, 4)
    split = predefined(member_column(table, a="1100", b="1001"), contents)
    halves = [tuple(i in chosen for i in range(4)) for chosen in combinations(range(4), 2)]
    assert_all_possible(split, *units_and_labels(split), {a + b for a, b in product(halves, halves)})


def test_predefined_mixture_does_both(make_corpus):
    table, contents = make_corpus(3, 2, 3, 2)
    split = predefined(member_column(table, a="100", b="1", c="0", d="1"), contents)
    within = [tuple(i == member for i in range(3)) for member in range(3)]
    blocks = [(o != "b",) * 2 + (o != "c",) * 3 + (o != "d",) * 2 for o in "bcd"]
    assert_all_possible(split, *units_and_labels(split), {a + b for a, b in product(within, blocks)})


def test_names_shared_by_a_speaker_and_an_utterance_are_distinguished(make_corpus):
    table, contents = make_corpus(4, 4, 4)
    table = member_column(table, a="1100", b="1", c="0").replace({"id": {"a-000": "b"}})
    split = predefined(table, contents | {"b": "content of a-000"})
    units, _ = units_and_labels(split)
    redrawn = dict(zip(units, split.redraw(units, "utterance", 200, seed=0).T, strict=True))
    assert (redrawn["b-000"] == redrawn["b-003"]).all()
    assert (redrawn["b"] != redrawn["b-000"]).any()


@pytest.mark.slow
@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_draws_and_redraws_have_the_same_distribution(make_corpus, level):
    # Every seed draws the membership of the same units, the whole corpus.
    table, contents = make_corpus(*(4,) * 8)
    design = SpeakerDesign(8, 0, 2, 2) if level == "speaker" else UtteranceDesign(32, 0)
    splits = [design.draw(table, contents, seed=seed) for seed in range(100)]
    units = sorted(splits[0].table["unit"].unique())
    drawn = np.array([s.table.drop_duplicates("unit").set_index("unit")["target"].loc[units] for s in splits])
    redrawn = splits[0].redraw(units, level, 1_000, seed=0)
    # The joint distribution of two units: how often they have the same label (for 8 speakers 3/7).
    for i, j in [(0, 1), (2, 7), (4, 5)]:
        counts = [np.bincount(labels[:, i] * 2 + labels[:, j], minlength=4) for labels in (drawn, redrawn)]
        assert chi2_contingency(counts).pvalue > 1e-3


@pytest.mark.slow
def test_p_values_of_meaningless_scores_are_uniform(make_corpus):
    # Scores depend on the speaker alone: the hardest case for a test that ignores speakers.
    table, contents = make_corpus(*(4,) * 12)
    generator = np.random.default_rng(0)
    p_values = []
    for seed in range(60):
        split = SpeakerDesign(12, 0, 2, 2).draw(table, contents, seed=seed)
        challenge = split.challenge("utterance")
        speaker_scores = dict(zip(table["speaker"].unique(), generator.normal(size=12), strict=True))
        ranks = rankdata(challenge["speaker"].map(speaker_scores) + 0.1 * generator.normal(size=len(challenge)))
        labels = split.redraw(challenge["unit_id"], "utterance", 199, seed)  # the split's own seed, on purpose
        sums = labels @ ranks
        p_values.append((1 + np.sum(sums >= challenge["member"].to_numpy() @ ranks)) / 200)
    assert kstest(p_values, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("n_speakers", [12, 14, 16])  # 924, 3,432 and 12,870 labellings
def test_few_speakers_are_redrawn_without_repetition(make_corpus, n_speakers):
    split = SpeakerDesign(n_speakers, 0, 2, 2).draw(*make_corpus(*(4,) * n_speakers))
    speakers, labels = units_and_labels(split, "speaker")
    redrawn = split.redraw(speakers, "speaker", 1000, seed=0)
    assert len(redrawn) == min(1000, comb(n_speakers, n_speakers // 2) - 1)
    assert len({tuple(labels.tolist()), *map(tuple, redrawn.tolist())}) == 1 + len(redrawn)
    again = split.redraw(speakers, "speaker", 1000, seed=1)
    np.testing.assert_allclose(redrawn[:250].mean(axis=0), 0.5, atol=0.13)  # not the first ones in any order
    assert (again != redrawn).any()
    assert n_speakers > 12 or set(map(tuple, again.tolist())) == set(map(tuple, redrawn.tolist()))


def test_exact_p_values_equal_brute_force(make_corpus):
    split = SpeakerDesign(12, 0, 2, 2).draw(*make_corpus(*(4,) * 12))
    speakers, labels = units_and_labels(split, "speaker")
    scores = np.random.default_rng(0).normal(size=12) + labels
    observed = scores[labels].sum()
    n_as_extreme = sum(scores[list(chosen)].sum() >= observed - 1e-12 for chosen in combinations(range(12), 6))
    for seed in range(3):
        sums = split.redraw(speakers, "speaker", 1000, seed) @ scores
        assert (1 + np.sum(sums >= observed - 1e-12)) / (1 + len(sums)) == n_as_extreme / 924


def test_redraws_are_compared_with_simulated_labels(make_corpus):
    split = SpeakerDesign(8, 0, 2, 2).draw(*make_corpus(*(4,) * 8))
    speakers, labels = units_and_labels(split, "speaker")
    for simulated in split.draw_labels(speakers, "speaker", 5, seed=1):
        redrawn = split.redraw(speakers, "speaker", 1000, seed=0, observed=simulated)
        assert len({tuple(simulated.tolist()), *map(tuple, redrawn.tolist())}) == 70
        assert (redrawn == labels).all(axis=1).any() or (simulated == labels).all()


def test_a_single_labelling_is_returned_as_it_is(make_corpus):
    split = UtteranceDesign(8, 0).draw(*make_corpus(4, 4))
    units, labels = units_and_labels(split)
    members = [unit for unit, member in zip(units, labels, strict=True) if member]
    np.testing.assert_array_equal(split.redraw(members, "utterance", 1000, seed=0), np.ones((1, 4), bool))


def test_redraws_with_the_seed_of_the_split_do_not_repeat_its_labels(make_corpus):
    for seed in range(20):
        split = UtteranceDesign(40, 0).draw(*make_corpus(20, 20), n_shadows=2, seed=seed)
        units, labels = units_and_labels(split)
        redrawn = split.redraw(units, "utterance", 3, seed)
        assert not (redrawn == labels).all(axis=1).any()


def test_a_unit_keeps_its_labels_in_any_order(make_corpus):
    split = UtteranceDesign(40, 0).draw(*make_corpus(20, 15, 5))
    units, _ = units_and_labels(split)
    shuffled = np.random.default_rng(0).permutation(len(units))
    redrawn = split.redraw(units, "utterance", 20, seed=1)
    again = split.redraw(np.array(units)[shuffled], "utterance", 20, seed=1)
    np.testing.assert_array_equal(again, redrawn[:, shuffled])
    assert (split.redraw(units, "utterance", 20, seed=2) != redrawn).any()


def test_subsets_of_units_keep_their_counts(make_corpus):
    split = UtteranceDesign(40, 0).draw(*make_corpus(20, 20))
    units, labels = units_and_labels(split)
    redrawn = split.redraw(units[:15], "utterance", 50, seed=1)
    assert (redrawn.sum(axis=1) == labels[:15].sum()).all()


def test_unknown_units_and_levels_raise_value_error(make_corpus):
    split = UtteranceDesign(40, 10).draw(*make_corpus(30, 30))
    with pytest.raises(ValueError, match="not evaluated at utterance level"):
        split.redraw(split.auxiliary_ids(), "utterance", 2, seed=0)
    with pytest.raises(ValueError, match="not evaluated at speaker level"):
        split.redraw(["a"], "speaker", 2, seed=0)
