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


def test_the_last_values_of_the_fleet_are_summed_up():
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
    records = {str(place): {**RECORD, "collapse": "outputs are equal" if place < n else ""} for place in range(2)}
    assert summarise_fleet(records, "challenge").n_collapsed == n


def test_a_record_without_health_will_do():
    bare = {"seconds": 1, "epochs": 1, "steps": 1, "utterances": 1}
    assert summarise_fleet({"a": bare, "b": bare}, "challenge").health == {}
