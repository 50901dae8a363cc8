"""The paper's rows as configs: all there, all valid, and run on small trees in the publishers' layout."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
import yaml

from lightning_mia.audit.cli import main
from tests.conftest import SAMPLE_RATE, sound

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "configs" / "paper"
CONFIGS = sorted(PAPER.rglob("*.yaml"))
SPEAKERS, CLIPS = 6, 4
TINY_BASE = {
    "tera": ["--model.dim", "16", "--model.n_layers", "1", "--model.n_heads", "2", "--model.feedforward_dim", "32"],
    "cpc": ["--model.dim", "16", "--model.n_negatives", "4", "--model.predictor_heads", "2"],
}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("paper_configs", ROOT / "tools" / "paper_configs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_configs_are_what_the_tool_writes(tool: ModuleType) -> None:
    written = {f"{row.path}.yaml": row.text() for row in tool.rows()}
    assert {str(path.relative_to(PAPER)): path.read_text() for path in CONFIGS} == written


def test_every_published_row_is_there(tool: ModuleType) -> None:
    published = [yaml.safe_load(path.read_text()).get("published", []) for path in CONFIGS]
    figures = sorted(figure["advantage"] for config in published for figure in config)
    assert figures == sorted(
        [*tool.ADVANTAGES.values(), *tool.REVERSED_QUERIES.values(), *tool.REVERSED_PRETRAINING.values()]
    )
    models, levels, sides = ("hubert", "wav2vec2", "tera", "cpc"), ("utterance", "speaker"), ("librispeech", "vctk")
    table = {f"{model}_{level}_{side}" for model in models for level in levels for side in sides}
    for attack in ("basic", "improved"):
        assert {path.stem for path in (PAPER / attack).iterdir()} == table


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_config_is_valid(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_mia.audit.placeholders.install", lambda: None)
    command = "audit" if "lightning-mia audit" in path.read_text() else "attack"
    with pytest.raises(SystemExit) as exit_:
        main([command, "-c", str(path), "--print_config"])
    assert exit_.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["data"]["init_args"]["peak_normalise"] if "init_args" in printed["data"] else True


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


def roots(path: Path, data: Path) -> list[str]:
    """Options that point a config at the miniature corpora."""
    if "TwoSources" in path.read_text():
        return ["--data.corpus.members.root", str(data), "--data.corpus.nonmembers.root", str(data)]
    return ["--data.corpus.root", str(data)]


def run(path: Path, run_dir: Path, *options: str) -> dict:
    command = "audit" if "lightning-mia audit" in path.read_text() else "attack"
    quiet = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.enable_progress_bar", "false"]
    assert main([command, "-c", str(path), "--run_dir", str(run_dir), *quiet, *options]) == 0
    return json.loads((run_dir / "report" / "results.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["basic/hubert_utterance_librispeech", "improved/hubert_utterance_vctk",
                                  "improved/wav2vec2_speaker_librispeech", "improved/hubert_speaker_vctk",
                                  "ablations/hubert_utterance_reversed_queries"])  # fmt: skip
def test_rows_of_checkpoints(name: str, data: Path, checkpoint: Path, tmp_path: Path) -> None:
    path = PAPER / f"{name}.yaml"
    results = run(path, tmp_path, *roots(path, data), "--model.checkpoint", str(checkpoint))
    assert results["target"]["family"] == "hubert"
    assert results["split"]["drawn"] is False
    others = SPEAKERS * (4 if "vctk" not in name else 1)
    per_side = 1 if "speaker" in name else CLIPS
    judged = next(
        one for one in results["attacks"] if one["level"] == ("speaker" if "speaker" in name else "utterance")
    )
    assert (judged["n_members"], judged["n_nonmembers"]) == (SPEAKERS * per_side, others * per_side)
    found = {(one["name"], one["level"]) for one in [*results["attacks"], *results["controls"]]}
    for figure in results["published"]:
        assert (figure["attack"], figure["level"]) in found  # printed beside ours
    if "improved" in name:
        paper = [one for one in results["controls"] if "_paper_protocol" in one["name"]]
        assert paper
        assert all(one["access"] == "none" for one in paper)
        assert "Beside the published figures" in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.slow
def test_the_matched_row_says_what_it_discards(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    path = PAPER / "matched" / "tera_100h_utterance.yaml"
    model = ["--model", "lightning_mia.models.PretrainedEncoder", "--model.checkpoint", str(checkpoint)]
    results = run(path, tmp_path, *roots(path, data), *model, "--data.matching.tolerance", "0.2")
    assert any("discarded" in note or "kept" in note for note in results["notes"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["controlled/tera_utterance", "controlled/cpc_speaker", "ablations/tera_utterance_reversed_pretraining"]
)
def test_rows_that_we_pretrain(name: str, data: Path, tmp_path: Path) -> None:
    path = PAPER / f"{name}.yaml"
    tiny = TINY_BASE["cpc" if "cpc" in name else "tera"]
    options = ["--trainer.max_steps", "2", "--data.batch_seconds", "4", "--data.num_workers", "0"]
    options += ["--trainer.precision", "32-true"]
    results = run(path, tmp_path, *roots(path, data), *tiny, *options)
    assert results["split"]["drawn"] is name.startswith("controlled")
    assert next(one for one in results["provenance"]["models"] if one["name"] == "target")["steps"] == 2
