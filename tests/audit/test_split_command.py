"""The command `split`, and the audit of what was trained elsewhere on its lists."""

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import soundfile

from lightning_mia.audit.cli import main
from lightning_mia.audit.trained_elsewhere import vouching_notes
from lightning_mia.corpora import Manifest
from lightning_mia.splits import UtteranceDesign
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.splits.drawn_folder.drawn import DrawnFolder
from lightning_mia.utilities.errors import InputError

SIZES = ["--n_units", "36", "--n_auxiliary", "12"]


def draw(manifest: Path, out: Path, *options: str) -> int:
    return main(["split", str(manifest), "--out", str(out), *SIZES, *options])


def test_it_draws_as_an_audit_of_the_same_corpus_does(
    tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--shadows", "2", "--background", "rest", "--exposures", "[1, 4, 16]", "--formats", "csv,kaldi"]
    assert draw(tiny_manifest, tmp_path / "S", *options) == 0
    assert capsys.readouterr().out == f"split: {tmp_path / 'S' / 'README.md'}\n"
    drawn = DrawnFolder.load(tmp_path / "S")
    design = UtteranceDesign(36, 12, background="rest", exposures=[1, 4, 16])
    audited = SpeechDataModule(Manifest(str(tiny_manifest)), design).load(tmp_path / "split.csv", 2).split
    assert drawn.split.sha256 == audited.sha256
    table = Manifest(str(tmp_path / "S/train/target.csv")).table()
    assert len(table) == sum(audited.times_per_epoch(audited.training_ids()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--exposures", "[1, 4, 16, 64, 256]"], "do not divide the members: 36 units have 18 members"),
        (["--background", "100"], "100 background recordings were asked for, but 24 remain"),
        (["--formats", "csv,espnet"], "unknown format espnet; give some of csv,nemo,fairseq,kaldi,huggingface"),
        (["--inclusion", "independent"], "independent needs n_units of at least 40"),
        (["--shadows", "-1"], "0 to 1,000,000"),
        (["--background", "most"], "background"),
        (["--corpus", "SyntheticVoices"], "give either a manifest or --corpus"),
    ],
)
def test_bad_options_are_one_line(
    tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert draw(tiny_manifest, tmp_path / "S", *options) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("lightning-mia: error: ")
    assert message in error
    assert not (tmp_path / "S" / "split.csv").exists()


def test_labelled_manifests_and_edited_lists_are_refused(
    tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tiny_manifest.read_text().splitlines()
    labelled = tiny_manifest.with_name("labelled.csv")
    labelled.write_text("\n".join([f"{rows[0]},member", *(f"{row},1" for row in rows[1:])]))
    assert draw(labelled, tmp_path / "S") == 2
    assert "drop the column" in capsys.readouterr().err
    assert draw(tiny_manifest, tmp_path / "S") == 0
    with open(tmp_path / "S/train/target.csv", "a") as file:
        file.write("more\n")
    assert draw(tiny_manifest, tmp_path / "S") == 2
    assert "train/target.csv was changed since it was drawn" in capsys.readouterr().err


def test_a_drawn_split_is_audited_without_its_background(tiny_manifest: Path, tmp_path: Path) -> None:
    draw(tiny_manifest, tmp_path / "S", "--shadows", "2", "--background", "rest")
    data = SpeechDataModule(Manifest("unused.csv"), split=str(tmp_path / "S"), batch_seconds=4.0)
    loaded = data.load(tmp_path / "R" / "split.csv", with_background=False)
    assert loaded.drawn is not None
    assert loaded.split.sha256 == loaded.drawn.split.sha256
    assert set(loaded.audio.index.index) == set(loaded.split.queried_ids())
    with pytest.raises(InputError, match=r"24 background recordings of .* are not decoded"):
        loaded.training_recordings(loaded.split.training_ids(), seed=0)
    whole = data.load(tmp_path / "R" / "split.csv", n_shadows=2)
    assert len(whole.training_recordings(whole.split.training_ids("shadow_001"), seed=0).recordings) == 18 + 24
    with pytest.raises(InputError, match="has the lists of 2 shadow models: draw it again with"):
        data.load(tmp_path / "R" / "split.csv", n_shadows=4)


def test_audio_that_changed_since_the_draw_is_refused(tiny_manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    table = Manifest(str(tiny_manifest)).table()
    for name, path in zip(table["id"], table["path"], strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.flac").write_bytes(Path(path).read_bytes())
    (folder / "manifest.csv").write_text(tiny_manifest.read_text())
    assert draw(folder / "manifest.csv", tmp_path / "S") == 0
    split = DrawnFolder.load(tmp_path / "S").split
    changed = split.challenge("utterance")["id"].iloc[3]
    samples, rate = soundfile.read(folder / f"{changed}.flac")
    soundfile.write(folder / f"{changed}.flac", samples[::-1], rate)
    data = SpeechDataModule(Manifest("unused.csv"), split=str(tmp_path / "S"))
    with pytest.raises(InputError, match=f"The audio of 1 of 48 recordings changed since .*: {changed}; restore"):
        data.load(tmp_path / "split.csv")


def test_notes_say_what_the_user_vouches_for_and_warn_of_old_checkpoints(
    tiny_manifest: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw(tiny_manifest, tmp_path / "S")
    drawn = DrawnFolder.load(tmp_path / "S")
    checkpoint = tmp_path / "model" / "model.safetensors"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"")
    later = (drawn.created + timedelta(hours=1)).timestamp()
    os.utime(checkpoint, (later, later))
    assert [("is the user's statement" in note) for note in vouching_notes(drawn, str(checkpoint.parent))] == [True]
    old = datetime(2020, 3, 1, 12, tzinfo=timezone.utc).timestamp()
    os.utime(checkpoint, (old, old))
    for path in (checkpoint, checkpoint.parent):
        notes = vouching_notes(drawn, str(path))
        assert "written on 2020-03-01 12:00 UTC" in notes[1]
        assert f"drawn on {drawn.created:%Y-%m-%d}" in notes[1]
    assert "older than the draw" in caplog.text
    assert len(vouching_notes(drawn, "owner/name")) == 1
    assert vouching_notes(None, str(checkpoint)) == []
