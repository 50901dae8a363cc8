"""Kinds of blind statistics of a split."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_mia.audit.blind_kinds import blind_kinds, blind_name, encoder_statistics
from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.models.huggingface.pretrained import PretrainedEncoder
from lightning_mia.splits import predefined
from lightning_mia.utilities.errors import InputError


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(1)
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    HubertModel(
        HubertConfig(hidden_size=16, conv_dim=(8,) * 7, num_conv_pos_embedding_groups=2, **sizes)
    ).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture
def corpus(tiny_manifest: Path, tmp_path: Path) -> tuple[pd.DataFrame, AudioCache]:
    table = Manifest(str(tiny_manifest)).table()
    table["member"] = (np.random.default_rng(0).random(len(table)) < 0.5).astype(int).astype(str)
    return table, decode(table, cache_dir=tmp_path, progress=False)


@pytest.mark.slow
def test_kinds_depend_on_what_is_known(corpus: tuple[pd.DataFrame, AudioCache], encoder: Path, tmp_path: Path) -> None:
    table, audio = corpus
    table["text"] = [f"{number % 3} 打开" if number % 2 else "open" for number in range(len(table))]  # two scripts
    split = predefined(table, audio.contents)
    without_text = blind_kinds(split, audio, table)
    assert list(without_text) == ["acoustics", "fine", "metadata"]
    audio = decode(table, cache_dir=tmp_path, progress=False)
    complete = blind_kinds(split, audio, table, str(encoder))
    assert list(complete) == ["acoustics", "fine", "content", "metadata", "encoder"]
    for statistics in complete.values():
        assert list(statistics.index) == list(split.table["id"])
        assert np.isfinite(statistics.to_numpy()).all()
    pd.testing.assert_frame_equal(complete["acoustics"], without_text["acoustics"])


def test_faint_traces_are_no_part_of_acoustics(corpus: tuple[pd.DataFrame, AudioCache]) -> None:
    table, audio = corpus
    kinds = blind_kinds(predefined(table, audio.contents), audio, table)
    columns = {column for column in kinds["acoustics"] if not column.startswith("source_")}
    assert len(columns) == 92  # those that the limit of the bound was chosen for
    assert not columns & set(kinds["fine"])


def test_metadata_that_repeat_the_membership_are_left_out(corpus: tuple[pd.DataFrame, AudioCache]) -> None:
    table, audio = corpus
    table = table.sort_values("member", ignore_index=True)
    statistics = blind_kinds(predefined(table, audio.contents), audio, table)["metadata"]
    assert "row" not in statistics
    assert "id_order" in statistics


def test_outputs_of_the_encoder_are_averaged(corpus: tuple[pd.DataFrame, AudioCache], encoder: Path) -> None:
    _, audio = corpus
    ids = list(audio.index.index[:6])
    statistics = encoder_statistics(str(encoder), audio, ids)
    means = []
    for utterance in ids:
        waveform = torch.tensor(audio.waveform(utterance))[None]
        with torch.no_grad():
            hidden = PretrainedEncoder(str(encoder)).eval().encode(waveform, torch.tensor([waveform.shape[1]])).hidden
        means.append(hidden[-1][0].double().mean(dim=0).numpy())
    centred = np.array(means) - np.mean(means, axis=0)
    np.testing.assert_allclose(statistics.to_numpy() @ statistics.to_numpy().T, centred @ centred.T, atol=1e-4)


def test_an_encoder_that_does_not_exist_is_an_error(corpus: tuple[pd.DataFrame, AudioCache], tmp_path: Path) -> None:
    _, audio = corpus
    with pytest.raises(InputError, match="no_encoder"):
        encoder_statistics(str(tmp_path / "no_encoder"), audio, list(audio.index.index))


def test_names_of_controls() -> None:
    assert [blind_name(kind) for kind in ("acoustics", "within", "fine", "content")] == [
        "blind",
        "blind_within",
        "blind_fine",
        "blind_content",
    ]
