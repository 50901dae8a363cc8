"""The table of the paper's experiments: complete, valid, and run on small corpora in the publishers' layout."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from lightning_mia.audit.cli import main
from tests.conftest import SAMPLE_RATE, sound

TABLE_ROW = re.compile(r"^\| .* \| `lightning-mia (.*?)` \|$", re.MULTILINE)
RUN_DIR = re.compile(r"--run_dir runs/paper/([\w/]+)")
PAGE = (Path(__file__).parents[2] / "docs" / "paper.md").read_text(encoding="utf-8")
LINES = TABLE_ROW.findall(PAGE)
COMMANDS = {RUN_DIR.findall(line)[0]: shlex.split(line) for line in LINES}  # name of a row: its arguments
SPEAKERS, CLIPS = 6, 4
TINY_BASE = {
    "tera": ["--model.dim", "16", "--model.n_layers", "1", "--model.n_heads", "2", "--model.feedforward_dim", "32"],
    "cpc": ["--model.dim", "16", "--model.n_negatives", "4", "--model.predictor_heads", "2"],
}

CHECKPOINTS = {
    "hubert": "facebook/hubert-base-ls960",
    "wav2vec2": "facebook/wav2vec2-base",
    "tera": "checkpoints/tera_960h/states-1000000.ckpt",
    "cpc": "checkpoints/60k_epoch4-d0f474de.pt",
    "hubert_large": "facebook/hubert-large-ll60k",
    "hubert_xlarge": "facebook/hubert-xlarge-ll60k",
    "wav2vec2_large": "facebook/wav2vec2-large",
    "wav2vec2_large_60kh": "facebook/wav2vec2-large-lv60",
    "tera_100h": "checkpoints/tera_100h/states-200000.ckpt",
    "mockingjay_100h": "checkpoints/mockingjay_100h/states-200000.ckpt",
}
PUBLISHED_FILES = {"tera", "cpc", "tera_100h", "mockingjay_100h"}  # the others are on the Hugging Face hub
MODELS, LEVELS = ("hubert", "wav2vec2", "tera", "cpc"), ("utterance", "speaker")
ADVANTAGES = {  # as printed in the paper; improved attack
    "improved/hubert_utterance_librispeech": 0.7598,
    "improved/wav2vec2_utterance_librispeech": 0.7423,
    "improved/tera_utterance_librispeech": 0.7317,
    "improved/cpc_utterance_librispeech": 0.5948,
    "improved/hubert_speaker_librispeech": 0.9867,
    "improved/wav2vec2_speaker_librispeech": 0.9900,
    "improved/tera_speaker_librispeech": 0.9833,
    "improved/cpc_speaker_librispeech": 0.9767,
    "improved/hubert_utterance_vctk": 0.7692,
    "improved/wav2vec2_utterance_vctk": 0.7757,
    "improved/tera_utterance_vctk": 0.6276,
    "improved/cpc_utterance_vctk": 0.7716,
    "improved/hubert_speaker_vctk": 1.0,
    "improved/wav2vec2_speaker_vctk": 1.0,
    "improved/tera_speaker_vctk": 1.0,
    "improved/cpc_speaker_vctk": 1.0,
    "ablations/hubert_large_utterance": 0.7002,
    "ablations/hubert_xlarge_utterance": 0.7069,
    "ablations/hubert_large_speaker": 0.9433,
    "ablations/hubert_xlarge_speaker": 0.86,
    "ablations/wav2vec2_large_utterance": 0.7080,
    "ablations/wav2vec2_large_60kh_utterance": 0.7134,
    "ablations/wav2vec2_large_speaker": 0.9167,
    "ablations/wav2vec2_large_60kh_speaker": 0.9333,
    "ablations/tera_100h_utterance": 0.5772,
    "ablations/tera_100h_speaker": 0.9000,
    "ablations/hubert_utterance_reversed_queries": 0.7577,
    "ablations/wav2vec2_utterance_reversed_queries": 0.7440,
    "ablations/tera_utterance_reversed_queries": 0.3317,
    "ablations/cpc_utterance_reversed_queries": 0.0,
    "ablations/hubert_speaker_reversed_queries": 0.9900,
    "ablations/wav2vec2_speaker_reversed_queries": 0.9900,
    "ablations/tera_speaker_reversed_queries": 0.9900,
    "ablations/cpc_speaker_reversed_queries": 0.9900,
    "ablations/tera_utterance_reversed_pretraining": 0.5577,
    "ablations/tera_speaker_reversed_pretraining": 0.9900,
}
PRETRAINED = {  # model: batch (seconds), steps, clipping of the gradient's norm, hidden size
    "tera": (480, 200_000, 5.0, 768),
    "hubert": (1400, 250_000, 1.0, 768),
    "wav2vec2": (1400, 400_000, 1.0, 768),
    "cpc": (160, 200_000, 1.0, 256),
}
DEV_AND_TEST = ["dev-clean", "dev-other", "test-clean", "test-other"]


def settings(arguments: list[str]) -> dict:
    """Resolved settings of a command, with class names instead of class paths."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as exit_:
        main([*arguments, "--print_config"])
    assert exit_.value.code == 0
    return yaml.safe_load(re.sub(r"class_path: \S+\.(\w+)", r"class_path: \1", printed.getvalue()))


def test_every_row_is_listed() -> None:
    attacked = {f"{attack}/{model}_{level}" for attack in ("basic", "improved") for model in MODELS for level in LEVELS}
    rows = {f"{row}_{others}" for row in attacked for others in ("librispeech", "vctk")}
    rows |= {f"controlled/{model}_{level}" for model in MODELS for level in LEVELS}
    rows |= {f"matched/{model}_{level}" for model in ("tera_100h", "mockingjay_100h") for level in LEVELS}
    assert set(COMMANDS) == rows | set(ADVANTAGES)
    assert len(LINES) == len(COMMANDS) == 64


def test_published_figures_are_printed_in_the_table() -> None:
    cells = [line.split(" | ") for line in PAGE.splitlines() if RUN_DIR.search(line)]
    printed = {RUN_DIR.findall(command)[0]: figure for *_, figure, command in cells}
    assert printed == {name: f"{ADVANTAGES[name]:.4f}" if name in ADVANTAGES else "–" for name in COMMANDS}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_settings_of_its_row(name: str) -> None:
    protocol, row = name.split("/")
    level = "speaker" if "_speaker" in row else "utterance"
    model = row.split(f"_{level}")[0]
    similarity = f"{level.capitalize()}Similarity"
    resolved = settings(COMMANDS[name])
    data, trainer = resolved["data"], resolved["trainer"]

    assert COMMANDS[name][0] == ("audit" if protocol == "controlled" or "pretraining" in row else "attack")
    assert (resolved["seed_everything"], data["peak_normalise"], data["split_seed"]) == (0, True, 0)
    check_attacks(resolved["attacks"], protocol, similarity)
    check_published(resolved["published"], name, level)
    if protocol == "controlled":
        corpus, design = data["corpus"], data["design"]
        splits = ["train-clean-100", "train-clean-360"]
        assert (corpus["class_path"], corpus["init_args"]["splits"]) == ("LibriSpeech", splits)
        assert design["class_path"] == f"{level.capitalize()}Design"
        sizes = (60_000, 20_000) if level == "utterance" else (800, 200)
        assert (design["init_args"]["n_units"], design["init_args"]["n_auxiliary"]) == sizes
        if level == "speaker":
            per_speaker = design["init_args"]["trained_per_speaker"], design["init_args"]["held_back_per_speaker"]
            assert per_speaker == (70, 20)
        assert (data["reverse"], data["matching"], data["num_workers"]) == ("nothing", None, 4)
    else:
        check_sources(data, row, protocol)
        assert data["level"] == level
    if protocol == "controlled" or "pretraining" in row:
        batch, steps, clip, dim = PRETRAINED[model]
        assert resolved["model"]["init_args"]["dim"] == dim
        assert (data["batch_seconds"], trainer["max_steps"], trainer["gradient_clip_val"]) == (batch, steps, clip)
        assert (trainer["max_epochs"], trainer["precision"], trainer["devices"]) == (-1, "bf16-mixed", "auto")
    else:
        family = {True: "PublishedCPC" if model == "cpc" else "PublishedTERA", False: "PretrainedEncoder"}
        assert resolved["model"]["class_path"] == family[model in PUBLISHED_FILES]
        assert resolved["model"]["init_args"]["checkpoint"] == CHECKPOINTS[model]
        assert trainer["devices"] == 1


def check_attacks(attacks: list[dict], protocol: str, similarity: str) -> None:
    learned = {"basic": [], "matched": [], "controlled": [f"Learned{similarity}", "PretextLoss"]}
    expected = [similarity, *learned.get(protocol, [f"Learned{similarity}"])]
    assert [attack["class_path"] for attack in attacks] == expected
    if len(attacks) > 1:
        assert attacks[1]["init_args"]["paper_protocol"] is (protocol != "controlled")


def check_published(published: list[dict] | None, name: str, level: str) -> None:
    if name not in ADVANTAGES:
        assert published is None
        return
    (figure,) = published or []
    attack = f"learned_{level}_similarity_paper_protocol" + ("_trained" if level == "speaker" else "")
    assert (figure["attack"], figure["level"], figure["advantage"]) == (attack, level, ADVANTAGES[name])
    assert figure["source"].startswith("Tseng, Kao and Lee (2022), ")


def check_sources(data: dict, row: str, protocol: str) -> None:
    corpus = data["corpus"]
    assert corpus["class_path"] == "TwoSources"
    members, others = corpus["init_args"]["members"], corpus["init_args"]["nonmembers"]
    assert (members["class_path"], members["init_args"]["splits"]) == ("LibriSpeech", ["train-clean-100"])
    if row.endswith("vctk"):
        assert others["class_path"] == "VCTK"
    else:
        splits = ["train-clean-360"] if protocol == "matched" else DEV_AND_TEST
        assert (others["class_path"], others["init_args"]["splits"]) == ("LibriSpeech", splits)
    reverse = {"queries": "queries", "pretraining": "training"}.get(row.split("reversed_")[-1], "nothing")
    assert data["reverse"] == reverse
    if protocol == "matched":
        assert (data["matching"]["duration"], data["matching"]["utterances_per_speaker"]) == ("nearest", True)
    else:
        assert data["matching"] is None


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with LibriSpeech and VCTK in miniature: more speakers than the layout's tests have."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for number, split in enumerate(
        ("train-clean-100", "train-clean-360", "dev-clean", "dev-other", "test-clean", "test-other")
    ):
        for speaker in range(100 * number + 1, 100 * number + 1 + SPEAKERS):
            chapter = root / "LibriSpeech" / split / str(speaker) / "7"
            chapter.mkdir(parents=True)
            names = [f"{speaker}-7-{clip:04d}" for clip in range(CLIPS)]
            for name in names:
                _record(chapter / f"{name}.flac", rng)
            text = "".join(f"{name} SOME WORDS\n" for name in names)
            (chapter / f"{speaker}-7.trans.txt").write_text(text)
    folder = root / "VCTK-Corpus-0.92"
    for speaker in (f"p{225 + number}" for number in range(SPEAKERS)):
        (folder / "txt" / speaker).mkdir(parents=True)
        for clip in range(1, CLIPS + 1):
            (folder / "txt" / speaker / f"{speaker}_{clip:03d}.txt").write_text("Please call Stella.")
            _record(folder / "wav48_silence_trimmed" / speaker / f"{speaker}_{clip:03d}_mic2.flac", rng)
    return root


def _record(path: Path, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(rng, rng.uniform(0.3, 0.5), rng.uniform(90, 250)), SAMPLE_RATE)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny HuBERT as transformers saves it."""
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    folder = tmp_path_factory.mktemp("hubert")
    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    HubertModel(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)
    return folder


def roots(name: str, data: Path) -> list[str]:
    """Options that point a row at the miniature corpora."""
    if name.startswith("controlled"):
        return ["--data.corpus.root", str(data)]
    return ["--data.corpus.members.root", str(data), "--data.corpus.nonmembers.root", str(data)]


def run(name: str, data: Path, run_dir: Path, *options: str) -> dict:
    """Run a row's command on the miniature corpora."""
    quiet = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.enable_progress_bar", "false"]
    options = (*roots(name, data), *quiet, *options, "--run_dir", str(run_dir))
    assert main([*COMMANDS[name], *options]) == 0
    return json.loads((run_dir / "report" / "results.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["basic/hubert_utterance_librispeech", "improved/hubert_utterance_vctk",
                                  "improved/wav2vec2_speaker_librispeech", "improved/hubert_speaker_vctk",
                                  "ablations/hubert_utterance_reversed_queries"])  # fmt: skip
def test_rows_of_checkpoints(name: str, data: Path, checkpoint: Path, tmp_path: Path) -> None:
    results = run(name, data, tmp_path, "--model.checkpoint", str(checkpoint))
    assert results["target"]["family"] == "hubert"
    assert results["split"]["drawn"] is False
    others = SPEAKERS * (4 if "vctk" not in name else 1)
    per_side = 1 if "speaker" in name else CLIPS
    level = "speaker" if "speaker" in name else "utterance"
    result = next(result for result in results["attacks"] if result["level"] == level)
    assert (result["n_members"], result["n_nonmembers"]) == (SPEAKERS * per_side, others * per_side)
    evaluated = {(result["name"], result["level"]) for result in [*results["attacks"], *results["controls"]]}
    for figure in results["published"]:
        assert (figure["attack"], figure["level"]) in evaluated  # the report prints both
    if "improved" in name:
        paper = [control for control in results["controls"] if "_paper_protocol" in control["name"]]
        assert paper
        assert all(control["access"] == "none" for control in paper)
        assert 'id="published"' in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.slow
def test_the_matched_row_reports_discarded_recordings(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    model = ["--model", "PretrainedEncoder", "--model.checkpoint", str(checkpoint)]
    results = run("matched/tera_100h_utterance", data, tmp_path, *model, "--data.matching.tolerance", "0.2")
    assert any("discarded" in note or "kept" in note for note in results["notes"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["controlled/tera_utterance", "controlled/cpc_speaker", "ablations/tera_utterance_reversed_pretraining"]
)
def test_rows_with_pretraining(name: str, data: Path, tmp_path: Path) -> None:
    tiny = TINY_BASE["cpc" if "cpc" in name else "tera"]
    options = ["--trainer.max_steps", "2", "--data.batch_seconds", "4", "--data.num_workers", "0"]
    options += ["--trainer.precision", "32-true"]
    results = run(name, data, tmp_path, *tiny, *options)
    assert results["split"]["drawn"] is name.startswith("controlled")
    assert next(model for model in results["provenance"]["models"] if model["name"] == "target")["steps"] == 2
