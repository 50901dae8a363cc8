"""Audit of a checkpoint from elsewhere, with a manifest that labels the members."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from lightning_mia.audit.cli import main

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).parents[2] / "configs" / "attack" / "checkpoint.yaml"
QUIET = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.enable_progress_bar", "false"]
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}


@pytest.fixture(scope="module")
def save(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`save("HubertModel", seed=7)`: a folder as transformers writes it, with random weights; not those of seed 0,
    which a fresh model has."""
    import transformers

    def write(name: str, seed: int = 7) -> Path:
        folder = tmp_path_factory.mktemp(name)
        torch.manual_seed(seed)
        model_class = getattr(transformers, name)
        extra = {"num_codevectors_per_group": 8, "codevector_dim": 8, "proj_codevector_dim": 8, "num_negatives": 8}
        config = model_class.config_class(**SIZES, **(extra if "PreTraining" in name else {}))
        model_class(config).save_pretrained(folder)
        extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
        extractor.save_pretrained(folder)
        return folder

    return write


@pytest.fixture(scope="module")
def members_manifest(speakers_manifest: Path) -> Path:
    """Speakers 0 to 7 are members, 8 to 15 are not, the others are auxiliary; with transcripts."""
    table = pd.read_csv(speakers_manifest, dtype=str)
    number = table["speaker"].str[1:].astype(int)
    table["member"] = number.map(lambda n: "1" if n < 8 else "0" if n < 16 else "")
    table["text"] = "ab"
    path = speakers_manifest.parent / "members.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def auxiliary_manifest(members_manifest: Path) -> Path:
    """Speakers 0 to 5 are members, 6 to 11 are not, the others are auxiliary: 48 recordings."""
    table = pd.read_csv(members_manifest, dtype=str)
    number = table["speaker"].str[1:].astype(int)
    table["member"] = number.map(lambda n: "1" if n < 6 else "0" if n < 12 else "")
    path = members_manifest.parent / "auxiliary.csv"
    table.to_csv(path, index=False)
    return path


def attack(checkpoint: Path, manifest: Path, run_dir: Path, *options: str) -> dict:
    arguments = ["attack", "-c", str(CONFIG), "--model.checkpoint", str(checkpoint), "--data.corpus.path"]
    assert main([*arguments, str(manifest), "--run_dir", str(run_dir), *QUIET, *options]) == 0
    return json.loads((run_dir / "report" / "results.json").read_text())


@pytest.fixture(scope="module")
def black_box(save: Callable[..., Path], members_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return attack(save("HubertModel"), members_manifest, tmp_path_factory.mktemp("black_box"))


def test_a_bare_encoder_is_audited_black_box(black_box: dict) -> None:
    assert black_box["target"]["family"] == "hubert"
    assert black_box["split"]["drawn"] is False
    attacks = {(attack["name"], attack["level"], attack["access"]) for attack in black_box["attacks"]}
    assert attacks == {
        ("utterance_similarity", "utterance", "black-box"),
        ("surrogate_head", "utterance", "black-box"),
        ("surrogate_head_open", "utterance", "open-weights"),
        ("speaker_similarity_trained", "speaker", "black-box"),
        ("surrogate_head_trained", "speaker", "black-box"),
        ("surrogate_head_open_trained", "speaker", "open-weights"),
    }
    controls = {control["name"] for control in black_box["controls"]}
    assert {"blind", "untrained_utterance_similarity"} <= controls
    assert not any(name.startswith("wrong_model") for name in controls)
    assert any("wrong_model_checkpoint" in note for note in black_box["notes"])


def test_the_untrained_control_has_different_weights(black_box: dict) -> None:
    aurocs = {result["name"]: result["auroc"] for result in [*black_box["attacks"], *black_box["controls"]]}
    assert aurocs["utterance_similarity"] != aurocs["untrained_utterance_similarity"]
    trained_on = {model["name"]: model["trained_on"] for model in black_box["provenance"]["models"]}
    assert trained_on == {"target": "unknown: the checkpoint comes from elsewhere", "untrained": "nothing"}


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CTC checkpoint with its processor."""
    import transformers

    folder = tmp_path_factory.mktemp("ctc")
    (folder / "vocab.json").write_text(json.dumps({"|": 0, "A": 1, "B": 2, "<unk>": 3, "<pad>": 4}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None)
    torch.manual_seed(7)
    config = transformers.HubertConfig(**SIZES, vocab_size=5, pad_token_id=4)
    transformers.HubertForCTC(config).save_pretrained(folder)
    transformers.Wav2Vec2Processor(transformers.Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def test_a_speech_recogniser_is_attacked_by_its_own_loss(
    recogniser: Path, save: Callable[..., Path], members_manifest: Path, tmp_path: Path
) -> None:
    copies = {"n_copies": 2, "epochs": 1, "learning_rate": 1e-4}
    chosen = [{"class_path": "CTCLoss"}, {"class_path": "Relearn", "init_args": {"relearning": copies}}]
    options = ["--attacks", json.dumps(chosen), "--controls.wrong_model_checkpoint", str(save("HubertModel"))]
    results = attack(recogniser, members_manifest, tmp_path, *options)
    assert {attack["name"] for attack in results["attacks"]} >= {"ctc_loss", "ctc_loss_trained", "relearn"}
    controls = {control["name"] for control in results["controls"]}
    assert "untrained_ctc_loss" in controls
    assert "wrong_model_ctc_loss" not in controls  # a bare encoder has no CTC loss
    assert any("% of characters of members" in note for note in results["notes"])


def test_pretraining_heads_make_it_grey_box_and_another_checkpoint_the_wrong_model(
    save: Callable[..., Path], members_manifest: Path, tmp_path: Path
) -> None:
    other = save("Wav2Vec2ForPreTraining", seed=8)
    options = ["--controls.wrong_model_checkpoint", str(other)]
    results = attack(save("Wav2Vec2ForPreTraining"), members_manifest, tmp_path, *options)
    grey = [attack for attack in results["attacks"] if attack["access"] == "grey-box"]
    assert {attack["name"] for attack in grey} == {"pretext_loss", "pretext_loss_trained"}
    assert all(attack["versus_wrong_model"] is not None for attack in results["attacks"])
    hashes = results["provenance"]["hashes"]
    assert hashes["target checkpoint"] != hashes["wrong_model checkpoint"]


def test_a_random_split_is_refused_for_an_external_checkpoint(
    save: Callable[..., Path], speakers_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["attack", "-c", str(CONFIG), "--model.checkpoint", str(save("HubertModel")), "--data.corpus.path"]
    assert main([*arguments, str(speakers_manifest), "--run_dir", str(tmp_path), *QUIET]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "does not record what it was trained on" in message
    assert "member column" in message


def test_the_positive_control_adds_a_pretext_task_to_a_bare_encoder(
    save: Callable[..., Path], members_manifest: Path, tmp_path: Path
) -> None:
    options = ["--positive_control", "--exposure.exposures", "[2]", "--exposure.n_units", "16"]
    options += ["--model.n_clusters", "8", "--model.code_dim", "8", "--controls.untrained", "false"]
    results = attack(save("WavLMModel"), members_manifest, tmp_path, *options)
    before, after = results["exposures"]
    assert {result["name"] for result in before["results"]} == {"utterance_similarity"}
    assert {result["name"] for result in after["results"]} == {"utterance_similarity", "pretext_loss"}
    assert (tmp_path / "positive_control" / "exposure_002" / "model.ckpt").exists()


RELEARN = {
    "class_path": "Relearn",
    "init_args": {"relearning": {"epochs": 1, "n_masks": 2, "head_epochs": 1, "fill_to": 0}},
}


@pytest.mark.parametrize("model", ["Wav2Vec2ForPreTraining", "HubertModel"])
def test_checkpoints_are_relearned_at_a_rate_found_on_auxiliary_recordings(
    save: Callable[..., Path], auxiliary_manifest: Path, tmp_path: Path, model: str
) -> None:
    options = ["--attacks", json.dumps([RELEARN, "UtteranceSimilarity"]), "--controls.untrained", "false"]
    options += ["--model.n_clusters", "8", "--model.code_dim", "8"]
    options += ["--controls.wrong_model_checkpoint", str(save(model, seed=8))]
    results = attack(save(model), auxiliary_manifest, tmp_path, *options)
    (relearn,) = (attack for attack in results["attacks"] if attack["name"] == "relearn")
    assert relearn["access"] == "white-box" and relearn["versus_wrong_model"] is not None
    notes = " ".join(results["notes"])
    assert "Relearning chose a learning rate of" in notes
    assert ("Relearning fitted a pretext head, which the model lacks, on 48 auxiliary" in notes) == (
        model == "HubertModel"
    )


@pytest.mark.parametrize("model", ["Wav2Vec2ForPreTraining", "HubertModel"])
def test_relearning_says_that_it_lacks_auxiliary_recordings(
    save: Callable[..., Path], members_manifest: Path, tmp_path: Path, model: str
) -> None:
    options = ["--attacks", json.dumps([RELEARN, "UtteranceSimilarity"]), "--controls.untrained", "false"]
    results = attack(save(model), members_manifest, tmp_path, *options)
    reason = next(note for note in results["notes"] if note.startswith("The attack relearn was left out: "))
    assert "for a model trained elsewhere, 40 or more auxiliary recordings (or Relearning.learning_rate)" in reason


def test_ctc_fine_tuning_is_audited_with_its_error_rates(
    save: Callable[..., Path], members_manifest: Path, tmp_path: Path
) -> None:
    config = CONFIG.parent.parent / "finetune" / "ctc.yaml"
    arguments = ["audit", "-c", str(config), "--model.encoder", str(save("Wav2Vec2Model"))]
    options = ["--data.corpus.path", str(members_manifest), "--run_dir", str(tmp_path), "--trainer.max_epochs", "2"]
    assert main([*arguments, *options, *QUIET]) == 0
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    assert results["target"]["family"] == "wav2vec2_ctc"
    assert "ctc_loss" in {attack["name"] for attack in results["attacks"]}
    assert any(note.startswith("Errors of greedy transcription: ") for note in results["notes"])
