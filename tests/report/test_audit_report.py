from dataclasses import replace

import pytest

from lightning_mia.report import FleetSummary, summarise_fleet

RECORD = {
    "seconds": 2.5,
    "epochs": 14,
    "steps": 182,
    "utterances": 200,
    "health": {"loss": [4.3, 3.2], "masked_accuracy": [0.02, 0.13]},
    "collapse": "",
}


def test_repeated_results_are_rejected(planted_report):
    with pytest.raises(ValueError, match="more than once among the results: pretext_loss at utterance"):
        replace(planted_report, controls=(*planted_report.controls, planted_report.attacks[2]))


def test_repeated_scores_are_rejected(planted_report):
    with pytest.raises(ValueError, match="more than once among the scores: utterance_similarity at utterance"):
        replace(planted_report, scores=(*planted_report.scores, planted_report.scores[0]))


def test_a_name_may_occur_at_two_levels(planted_report):
    names = [(result.name, result.level) for result in planted_report.attacks]
    assert ("pretext_loss", "utterance") in names
    assert ("pretext_loss", "speaker") in names


def test_results_without_scores_are_rejected(planted_report):
    with pytest.raises(ValueError, match="without scores, or scores without a result: blind at utterance"):
        replace(
            planted_report,
            scores=tuple(s for s in planted_report.scores if (s.name, s.level) != ("blind", "utterance")),
        )


def test_scores_and_blind_baseline_are_found_by_name_and_level(planted_report):
    result = planted_report.attacks[-1]
    scores = planted_report.scores_of(result)
    assert (scores.name, scores.level, len(scores)) == ("pretext_loss", "speaker", 40)
    assert planted_report.blind("speaker").n_members == 20
    assert replace(planted_report, attacks=(), controls=(), scores=()).blind("speaker") is None


def test_the_last_values_of_shadow_models_are_summarised():
    other = {**RECORD, "seconds": 3.0, "health": {"loss": [4.0, 3.4], "code_perplexity": [3.0, 4.0]}}
    assert summarise_fleet({"shadows/000": RECORD, "shadows/001": other}, "auxiliary") == FleetSummary(
        n_shadows=2,
        pool="auxiliary",
        n_utterances=200,
        epochs=14,
        steps=182,
        seconds=5.5,
        health={"loss": (3.2, 3.4)},  # the figure that all of them have
    )


@pytest.mark.parametrize("n", [0, 1, 2])
def test_collapsed_models_are_counted(n):
    records = {str(i): {**RECORD, "collapse": "outputs are equal" if i < n else ""} for i in range(2)}
    assert summarise_fleet(records, "challenge").n_collapsed == n


def test_a_record_without_health_is_accepted():
    bare = {"seconds": 1, "epochs": 1, "steps": 1, "utterances": 1}
    assert summarise_fleet({"a": bare, "b": bare}, "challenge").health == {}
