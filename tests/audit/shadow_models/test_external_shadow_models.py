"""Draw, train anywhere, come back: the audit of models that plain PyTorch trained on the lists of a split."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import soundfile
import torch
import transformers

from lightning_mia.audit.cli import main
from lightning_mia.audit.shadow_models.external_shadow_models import ExternalShadowModels
from lightning_mia.corpora import Manifest
from lightning_mia.splits.drawn_folder.drawn import DrawnFolder
from tests.conftest import write_corpus

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).parents[3] / "configs" / "attack" / "checkpoint.yaml"
OPTIONS = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.enable_progress_bar", "false"]
OPTIONS += ["--evaluation.n_redraws", "1000", "--evaluation.n_bootstraps", "1000", "--data.batch_seconds", "4"]
SIZES = {
    **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32},
    **{"conv_dim": [8] * 7, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2},
}
CODES = {"num_codevectors_per_group": 8, "codevector_dim": 8, "proj_codevector_dim": 8, "num_negatives": 8}


def train(paths: list[str], seed: int, folder: Path) -> None:
    """Take one step on each recording, with nothing of the package."""
    torch.manual_seed(seed)
    model = transformers.Wav2Vec2ForPreTraining(transformers.Wav2Vec2Config(**SIZES, **CODES)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False)
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32")
        inputs = extractor(samples, sampling_rate=rate, return_tensors="pt").input_values
        n_frames = int(model._get_feat_extract_output_lengths(inputs.shape[1]))
        masks = torch.rand(1, n_frames) < 0.5
        masks[0, :2] = True
        negatives = torch.randint(0, n_frames, (1, n_frames, CODES["num_negatives"]))
        loss = model(inputs, mask_time_indices=masks, sampled_negative_indices=negatives).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)


@pytest.fixture(scope="module")
def split(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere") / "S"
    sizes = ["--n_units", "48", "--n_auxiliary", "12", "--shadows", "4", "--background", "rest"]
    assert main(["split", str(tiny_manifest), "--out", str(folder), *sizes, "--formats", "csv"]) == 0
    return folder


@pytest.fixture(scope="module")
def models(split: Path) -> Path:
    """Folder with `target` and `shadow_000` to `shadow_003`."""
    names = ["target", *(f"shadow_{number:03d}" for number in range(4))]
    for seed, name in enumerate(names):
        paths = Manifest(str(split / "train" / f"{name}.csv")).table()["path"]
        train(paths.to_list(), seed, split.parent / "models" / name)
    return split.parent / "models"


@pytest.fixture
def copies(models: Path, tmp_path: Path) -> Path:
    """The same models, to be damaged."""
    return Path(shutil.copytree(models, tmp_path / "models"))


def attack(split: Path, models: Path, run_dir: Path, *options: str) -> int:
    arguments = ["attack", "-c", str(CONFIG), "--split", str(split), "--model.checkpoint", str(models / "target")]
    arguments += ["--fleet.checkpoints", f"{models}/shadow_{{:03d}}", "--run_dir", str(run_dir)]
    return main([*arguments, *OPTIONS, *options])


ATTACKS = json.dumps(["PretextLoss", "MidPoint", "LiRA", "UtteranceSimilarity"])


@pytest.fixture(scope="module")
def run_dir(split: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "R"
    assert attack(split, models, folder, "--attacks", ATTACKS) == 0
    return folder


@pytest.fixture(scope="module")
def results(run_dir: Path) -> dict:
    return json.loads((run_dir / "report" / "results.json").read_text())


def test_attacks_with_shadow_models_run_on_models_that_were_trained_elsewhere(results: dict) -> None:
    attacks = {result["name"]: result for result in results["attacks"]}
    assert set(attacks) == {"pretext_loss", "midpoint", "lira", "utterance_similarity"}
    assert attacks["lira"]["n_shadows"] == 4
    each = {name: result["in_turn"] for name, result in attacks.items()}
    assert each.pop("lira") is None  # without the pair of the target, two shadow models are left
    assert all(summary["n_targets"] == 4 for summary in each.values())
    assert [fewer["n_shadows"] for fewer in attacks["midpoint"]["with_fewer"]] == [2, 4]
    assert results["verdict"]["status"] in ("leak", "no_evidence")


def test_the_report_says_what_the_user_vouches_for(run_dir: Path, results: dict) -> None:
    assert results["fleet"]["trained_elsewhere"] is True
    assert results["fleet"]["n_shadows"] == 4
    page = (run_dir / "report" / "report.html").read_text()
    assert "4 shadow models are user-supplied checkpoints" in page
    assert "on its own list of the split" in page
    assert any("is the user's statement, on which the verdict rests" in note for note in results["notes"])


def test_a_second_run_probes_nothing_again(split: Path, models: Path, run_dir: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run_dir / "probes").glob("*.npz")}
    assert len(before) == 6  # target, untrained, four shadow models
    assert attack(split, models, run_dir, "--attacks", ATTACKS, "--fleet.size", "2") == 0
    assert {path: path.stat().st_mtime_ns for path in (run_dir / "probes").glob("*.npz")} == before
    results = json.loads((run_dir / "report" / "results.json").read_text())
    assert results["fleet"]["n_shadows"] == 2


def test_missing_shadow_models_and_their_partners_are_left_out(
    split: Path, copies: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(copies / "shadow_001")
    options = ["--attacks", '["MidPoint"]', "--fleet.take_turns", "false", "--controls.untrained", "false"]
    assert attack(split, copies, tmp_path / "R", *options) == 0
    results = json.loads((tmp_path / "R" / "report" / "results.json").read_text())
    (note,) = (note for note in results["notes"] if "not found" in note)
    assert note == (
        "1 of 4 shadow models were not found: …/shadow_001. Their partners were left out, too, since pairs are "
        "kept whole: shadow_000. 2 shadow models remain."
    )
    assert note.replace("…", str(copies)) in caplog.text  # what is handed on has no paths
    assert results["attacks"][0]["n_shadows"] == 2
    assert attack(split, copies, tmp_path / "R", *options, "--fleet.size", "2") == 2  # no whole pair is left
    shutil.copytree(copies / "shadow_000", copies / "shadow_001")
    assert attack(split, copies, tmp_path / "R", *options, "--fleet.size", "2") == 2  # of the same weights


def refused(capsys: pytest.CaptureFixture[str], split: Path, models: Path, *options: str) -> str:
    capsys.readouterr()
    assert attack(split, models, models / "R", *options) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("lightning-mia: error: ")
    return last


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--fleet.checkpoints", "shadow"],
            "give a path with one number, {}, {:d} or {:03d}, such as DIR/shadow_{:03d}",
        ),
        (["--fleet.checkpoints", "{}/shadow_{}"], "give a path with one number"),
        (["--fleet.checkpoints", "shadow_{name}"], "give a path with one number"),
        (["--fleet.checkpoints", "none/shadow_{}"], "none/shadow_2; none/shadow_3 do not exist"),
        (["--fleet.size", "6"], "has the lists of 4 shadow models"),
        (["--fleet.pool", "auxiliary"], "fleet.pool is auxiliary: leave one of them out"),
    ],
)
def test_unusable_options_are_one_line(
    split: Path, models: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert message in refused(capsys, split, models, *options)


def test_shadow_models_without_lists_are_refused(
    split: Path, models: Path, tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["split", str(tiny_manifest), "--out", str(tmp_path / "S"), "--n_units", "48"]) == 0
    assert "has no lists of shadow models" in refused(capsys, tmp_path / "S", models)
    arguments = ["attack", "-c", str(CONFIG), "--fleet.checkpoints", f"{models}/shadow_{{:03d}}"]
    options = ["--data.corpus.path", str(tiny_manifest), "--model.checkpoint", str(models / "target")]
    assert main([*arguments, *options, "--run_dir", str(tmp_path / "R"), *OPTIONS]) == 2
    assert "give its folder (--split)" in capsys.readouterr().err
    assert main(["shadow", *arguments[1:], *options, "--run_dir", str(tmp_path / "R"), *OPTIONS]) == 2
    assert "there are none to train" in capsys.readouterr().err


def test_shadow_models_that_are_numbered_from_1_are_refused(
    split: Path, copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (3, 2, 1, 0):
        (copies / f"shadow_{number:03d}").rename(copies / f"shadow_{number + 1:03d}")
    message = refused(capsys, split, copies)
    assert f"{copies}/shadow_004 exists, but" in message
    assert "number the checkpoints like the lists, from 0" in message


def test_equal_weights_are_refused(split: Path, copies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("target", "shadow_000"):
        shutil.rmtree(copies / "shadow_002")
        shutil.copytree(copies / name, copies / "shadow_002")
        same = "the target" if name == "target" else copies / name
        assert f"{copies}/shadow_002 has the same weights as {same}" in refused(capsys, split, copies)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_shadow_models_unlike_the_target_are_refused(
    split: Path, copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copies / "shadow_001"
    edit(folder / "preprocessor_config.json", do_normalize=False)
    message = refused(capsys, split, copies)
    assert f"{folder} differs from the target: do_normalize in the preprocessor is False instead of True" in message
    edit(folder / "preprocessor_config.json", do_normalize=True)
    edit(folder / "config.json", hidden_dropout=0.3)
    assert "hidden_dropout in config.json is 0.3 instead of 0.1" in refused(capsys, split, copies)
    shutil.rmtree(folder)
    model = transformers.HubertModel(transformers.HubertConfig(**SIZES))
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)
    assert "the family is hubert instead of wav2vec2" in refused(capsys, split, copies)


def test_shadow_models_older_than_the_draw_are_named(
    split: Path, copies: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.utime(copies / "shadow_002" / "model.safetensors", (1e9, 1e9))
    found = ExternalShadowModels.find(f"{copies}/shadow_{{:03d}}", DrawnFolder.load(split))
    (note,) = found.notes
    assert note.startswith("1 of 4 shadow models are older than the draw of")
    assert "shadow_002 (2001-09-09 01:46 UTC)" in note
    assert note.replace("…", str(copies)) in caplog.text  # what is handed on has no paths


def save_recogniser(folder: Path, seed: int, letters: str = "ab") -> None:
    """A CTC checkpoint with random weights and its processor."""
    folder.mkdir(parents=True)
    vocabulary = {token: label for label, token in enumerate(["<pad>", "|", "<unk>", *letters])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None)
    torch.manual_seed(seed)
    config = transformers.Wav2Vec2Config(**SIZES, vocab_size=len(vocabulary), pad_token_id=0)
    transformers.Wav2Vec2ForCTC(config).save_pretrained(folder)
    extractor = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False)
    transformers.Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)


def test_recognisers_are_compared_by_their_loss_and_their_vocabularies(
    tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(tiny_manifest, dtype=str).assign(text="ab a")
    transcribed = tiny_manifest.with_name("transcribed.csv")
    table.to_csv(transcribed, index=False)
    split = tmp_path / "S"
    assert main(["split", str(transcribed), "--out", str(split), "--n_units", "48", "--shadows", "2"]) == 0
    for seed, name in enumerate(("target", "shadow_000", "shadow_001")):
        save_recogniser(tmp_path / "models" / name, seed)
    signal = {"class_path": "TaskScore", "init_args": {"score": "ctc_score"}}
    attacks = json.dumps(["CTCLoss", {"class_path": "MidPoint", "init_args": {"signal": signal}}])
    options = ["--attacks", attacks, "--controls.untrained", "false", "--fleet.take_turns", "false"]
    assert attack(split, tmp_path / "models", tmp_path / "R", *options) == 0
    results = json.loads((tmp_path / "R" / "report" / "results.json").read_text())
    assert {result["name"]: result["n_shadows"] for result in results["attacks"]} == {
        "ctc_loss": 0,
        "midpoint_ctc_score": 2,
    }
    shutil.rmtree(tmp_path / "models" / "shadow_001")
    save_recogniser(tmp_path / "models" / "shadow_001", 2, letters="ax")
    message = refused(capsys, split, tmp_path / "models", *options)
    assert "the vocabulary has 'x'; 'b' in one of them alone" in message


@pytest.fixture(scope="module")
def trained_here(config: Path, split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the suite on the lists of the split: target and two shadow models."""
    folder = tmp_path_factory.mktemp("runs") / "suite"
    arguments = ["-c", str(config), "--split", str(split), "--run_dir", str(folder), "--trainer.max_epochs", "1"]
    assert main(["fit", *arguments]) == 0
    assert main(["shadow", *arguments, "--fleet.size", "2"]) == 0
    return folder


def attack_lightning(config: Path, split: Path, models: Path, run_dir: Path) -> int:
    arguments = ["attack", "-c", str(config), "--split", str(split), "--run_dir", str(run_dir), "--fleet.size", "2"]
    checkpoints = ["--target_checkpoint", str(models / "target" / "model.ckpt")]
    checkpoints += ["--fleet.checkpoints", f"{models}/shadows/{{:03d}}/model.ckpt"]
    options = ["--controls.untrained", "false", "--controls.wrong_model", "false", "--attacks", '["MidPoint"]']
    return main([*arguments, *checkpoints, *options, "--fleet.take_turns", "false", "--trainer.max_epochs", "1"])


def test_lightning_checkpoints_are_shadow_models_of_their_lists_alone(
    config: Path, split: Path, trained_here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert attack_lightning(config, split, trained_here, tmp_path / "R") == 0
    results = json.loads((tmp_path / "R" / "report" / "results.json").read_text())
    assert results["fleet"]["trained_elsewhere"] is True
    assert not (tmp_path / "R" / "shadows").exists()
    swapped = Path(shutil.copytree(trained_here, tmp_path / "swapped"))
    (swapped / "shadows" / "000").rename(swapped / "shadows" / "002")
    (swapped / "shadows" / "001").rename(swapped / "shadows" / "000")
    (swapped / "shadows" / "002").rename(swapped / "shadows" / "001")
    assert attack_lightning(config, split, swapped, tmp_path / "R") == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "trained on other recordings than those of shadow_000, on those of shadow_001" in message


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_coins_are_audited_with_a_bound_that_holds(level: str, tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, n_speakers=48, n_clips=4, seconds=(0.3, 0.4))
    split, models = tmp_path / "S", tmp_path / "models"
    options = ["--level", level, "--n_units", "44", "--n_auxiliary", "2", "--inclusion", "independent", "--seed", "1"]
    sizes = [] if level == "utterance" else ["--trained_per_speaker", "2", "--held_back_per_speaker", "2"]
    assert main(["split", str(manifest), "--out", str(split), *options, *sizes, "--shadows", "2"]) == 0
    for seed, name in enumerate(("target", "shadow_000", "shadow_001")):
        train([], seed, models / name)
    attacks = ["UtteranceSimilarity", "SpeakerSimilarity", "MidPoint"]
    options = ["--attacks", json.dumps(attacks), "--controls.untrained", "false", "--fleet.take_turns", "false"]
    assert attack(split, models, tmp_path / "R", *options) == 0
    results = json.loads((tmp_path / "R" / "report" / "results.json").read_text())
    assert results["split"]["inclusion"] == "independent"
    assert results["verdict"]["status"] == "no_evidence"
    assert {bound["method"] for bound in results["epsilon_bounds"]} == {"one_run"}
    assert {bound["level"] for bound in results["epsilon_bounds"]} == {level}
    assert all(bound["epsilon"] < 1 for bound in results["epsilon_bounds"])  # the models were not trained
