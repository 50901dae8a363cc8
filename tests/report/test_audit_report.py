from dataclasses import replace

import pytest


def test_a_result_that_occurs_twice_is_refused(planted_report):
    with pytest.raises(ValueError, match="more than once among the results: pretext_loss at utterance"):
        replace(planted_report, controls=(*planted_report.controls, planted_report.attacks[2]))


def test_scores_that_occur_twice_are_refused(planted_report):
    with pytest.raises(ValueError, match="more than once among the scores: utterance_similarity at utterance"):
        replace(planted_report, scores=(*planted_report.scores, planted_report.scores[0]))


def test_the_same_name_at_two_levels_is_fine(planted_report):
    names = [(result.name, result.level) for result in planted_report.attacks]
    assert ("pretext_loss", "utterance") in names
    assert ("pretext_loss", "speaker") in names


def test_a_result_without_scores_is_refused(planted_report):
    with pytest.raises(ValueError, match="without scores, or scores without a result: blind at utterance"):
        replace(
            planted_report,
            scores=tuple(s for s in planted_report.scores if (s.name, s.level) != ("blind", "utterance")),
        )


def test_scores_and_blind_control_are_found_by_name_and_level(planted_report):
    result = planted_report.attacks[-1]
    scores = planted_report.scores_of(result)
    assert (scores.name, scores.level, len(scores)) == ("pretext_loss", "speaker", 40)
    assert planted_report.blind("speaker").n_members == 20
    assert replace(planted_report, attacks=(), controls=(), scores=()).blind("speaker") is None
