"""The default attacks on a checkpoint from elsewhere."""

from dataclasses import dataclass

import pytest

from lightning_mia.attacks.runner.defaults import MANY_AUXILIARY, checkpoint_attacks, lacking_auxiliary
from lightning_mia.models import TERA, SpeechModel
from lightning_mia.models.layers.masking import SpanMask


@dataclass
class Checkpoint:
    """What the choice of attacks asks of a model."""

    family: str = "hubert"
    has_pretext: bool = False
    uses_transcripts: bool = False
    task_score: str = "pretext_score"
    mask_span: SpanMask | None = SpanMask(0.65, 10)  # noqa: RUF009 - frozen
    needs_targets: bool = True
    can_pretrain: bool = True
    is_large: bool = False

    @property
    def origin(self) -> dict:
        return {}


CONTRASTIVE = Checkpoint("wav2vec2", has_pretext=True, needs_targets=False)
RECOGNISER = Checkpoint("wav2vec2", uses_transcripts=True, task_score="ctc_score", needs_targets=False)
WHISPER = Checkpoint("whisper", uses_transcripts=True, task_score="token_score", needs_targets=False)
SIMILARITIES = ["utterance_similarity", "speaker_similarity"]


def names(model: SpeechModel | Checkpoint, n_auxiliary: int = 200, n_references: int = 0) -> list[str]:
    attacks = checkpoint_attacks(model, n_auxiliary, n_references)  # type: ignore[arg-type]
    assert len({attack.name for attack in attacks}) == len(attacks)
    return [name for attack in attacks if (name := attack.name) not in SIMILARITIES]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (CONTRASTIVE, ["pretext_loss", "quantile_regression", "relearn"]),
        (RECOGNISER, ["ctc_loss", "quantile_regression_ctc_score", "relearn"]),
        (WHISPER, ["token_loss", "quantile_regression_token_score", "relearn"]),
        (Checkpoint("hubert"), ["surrogate_head", "surrogate_head_open"]),
        (Checkpoint("cpc", mask_span=None), ["surrogate_head"]),
    ],
)
def test_a_checkpoint_with_its_task_is_attacked_by_it_and_others_by_surrogate_heads(
    model: Checkpoint, expected: list[str]
) -> None:
    assert names(model) == expected


def test_a_family_that_reconstructs_frames_is_calibrated_too() -> None:
    expected = ["surrogate_head", "quantile_regression_surrogate_head"]
    expected += ["surrogate_head_open", "quantile_regression_surrogate_head_open"]
    assert names(Checkpoint("tera")) == expected


def test_without_auxiliary_recordings_what_is_fitted_on_them_is_left_out_and_named() -> None:
    assert names(CONTRASTIVE, n_auxiliary=0) == ["pretext_loss"]
    assert names(Checkpoint("hubert"), n_auxiliary=0) == []
    lacking = [attack.name for attack in lacking_auxiliary(CONTRASTIVE, 0)]  # type: ignore[arg-type]
    assert lacking == ["quantile_regression", "relearn"]
    assert not lacking_auxiliary(CONTRASTIVE, MANY_AUXILIARY)  # type: ignore[arg-type]


def test_one_reference_allows_two_offline_attacks_and_two_references_all() -> None:
    one, two = names(CONTRASTIVE, n_references=1), names(CONTRASTIVE, n_references=2)
    assert {"calibrated_loss", "rmia_offline"} <= set(one)
    assert set(two) - set(one) == {"lira_offline", "speaker_lira_offline", "bavaria_offline"}


def test_references_of_an_encoder_that_predicts_clusters_add_a_head_for_clusters() -> None:
    assert "calibrated_loss_surrogate_head_open_clusters" in names(Checkpoint("hubert"), n_references=1)
    assert "calibrated_loss_surrogate_head_open_clusters" not in names(Checkpoint("tera"), n_references=1)


def test_a_model_with_a_known_learning_rate_is_relearned_without_auxiliary_recordings() -> None:
    model = TERA()
    model.origin["training"] = "of this package"
    assert names(model, n_auxiliary=0) == ["pretext_loss", "relearn"]
