"""Loading a corpus with its split."""

from pathlib import Path

import pandas as pd
import pytest

from lightning_mia.corpora import Manifest
from lightning_mia.splits import UtteranceDesign
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.utilities.errors import InputError


def module(manifest: Path, **options: object) -> SpeechDataModule:
    return SpeechDataModule(Manifest(str(manifest)), batch_seconds=4.0, **options)


def test_the_number_of_shadow_models_sets_the_columns_of_the_split(tiny_manifest: Path, tmp_path: Path) -> None:
    data = module(tiny_manifest, design=UtteranceDesign(n_units=32, n_auxiliary=16))
    loaded = [data.load(tmp_path / "split.csv", n_shadows) for n_shadows in (0, 4)]
    assert [len(corpus.split.shadows) for corpus in loaded] == [0, 4]
    assert loaded[0].split.sha256 == loaded[1].split.sha256


def test_all_models_take_equally_many_batches(tiny_manifest: Path, tmp_path: Path) -> None:
    design = UtteranceDesign(n_units=32, n_auxiliary=16)
    corpus = module(tiny_manifest, design=design).load(tmp_path / "split.csv", n_shadows=2)
    ids = [corpus.split.training_ids(name) for name in ("target", *corpus.split.shadows)]
    assert len({corpus.training_recordings(members, seed=0).n_batches for members in ids}) == 1


def test_a_different_saved_split_is_rejected(tiny_manifest: Path, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    module(tiny_manifest).load(path).split.save(path)
    with pytest.raises(InputError, match="is another split"):
        module(tiny_manifest, split_seed=1).load(path)


def test_a_predefined_split_is_loaded_and_has_no_shadow_models(tiny_manifest: Path, tmp_path: Path) -> None:
    table = pd.read_csv(tiny_manifest, dtype=str)
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    table.assign(member=(table.groupby("speaker").cumcount() % 2).astype(str)).to_csv(tmp_path / "m.csv", index=False)
    corpus = module(tmp_path / "m.csv").load(tmp_path / "split.csv")
    assert not corpus.split.drawn
    with pytest.raises(InputError, match="has a predefined split"):
        module(tmp_path / "m.csv").load(tmp_path / "split.csv", n_shadows=2)


def test_another_split_of_the_same_recordings_shares_their_audio(tiny_manifest: Path, tmp_path: Path) -> None:
    corpus = module(tiny_manifest).load(tmp_path / "split.csv")
    other = corpus.with_split(module(tiny_manifest, split_seed=1).load(tmp_path / "other.csv").split)
    assert other.audio is corpus.audio
    assert other.split.sha256 != corpus.split.sha256


def test_batches_count_background_and_exposures(tiny_manifest: Path, tmp_path: Path) -> None:
    options = {"background": 12, "exposures": [1, 4]}
    plain, extended = (
        module(tiny_manifest, design=UtteranceDesign(32, 16, **chosen)).load(tmp_path / "split.csv", n_shadows=2)
        for chosen in ({}, options)
    )
    for corpus in (plain, extended):
        names = ("target", *corpus.split.shadows)
        trainings = [corpus.training_recordings(corpus.split.training_ids(name), seed=0) for name in names]
        seconds = [sum(training.epoch().durations) for training in trainings]
        assert len({training.n_batches for training in trainings}) == 1
        assert trainings[0].n_batches == pytest.approx(sum(seconds) / 3 / 4.0, abs=1.5)
        assert len({len(training.epoch()) for training in trainings}) == 1
    assert len(trainings[0].epoch()) == 8 * 1 + 8 * 4 + 12
    assert len(trainings[0].recordings) == 16 + 12
    batches = [name for batch in trainings[0].train_dataloader() for name in batch.ids]
    exposures = extended.split.unit_exposures("utterance")
    trained = {name: batches.count(name) for name in set(batches)}
    assert trained == {name: exposures.get(name, 1) for name in extended.split.training_ids()}
