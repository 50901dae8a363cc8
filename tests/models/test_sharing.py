"""Models as plain LightningModules: any Trainer, any data loader, `forward`, and huggingface_hub's folders."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import transformers
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from lightning_mia.corpora.loading.batch import Batch, as_batch
from lightning_mia.models import CTC, TERA, MelHuBERT, PretrainedEncoder, PublishedCPC, PublishedTERA, SpeechModel
from lightning_mia.utilities.errors import InputError
from tests.models.fitting import bare_trainer
from tests.models.published.test_published_cpc import criterion, write_training
from tests.models.published.test_published_tera import CONFIG, head_weights
from tests.models.published.test_published_tera import write as write_tera
from tests.models.test_ctc import save
from tests.models.test_speech_models import FAMILIES, SMALL

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
TEXTS = ("no", "zero one", "go on", "nine")


def hugging_face(folder: Path, kind: str) -> PretrainedEncoder:
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "hidden_size": 16}
    config = getattr(transformers, f"{kind}Config")(conv_dim=(8,) * 7, num_conv_pos_embedding_groups=2, **sizes)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return PretrainedEncoder(str(folder), n_clusters=8, code_dim=8)


def published_tera(folder: Path) -> PublishedTERA:
    return PublishedTERA(write_tera(folder / "states.ckpt", SpecHead=head_weights(CONFIG)))


def published_cpc(folder: Path) -> PublishedCPC:
    return PublishedCPC(write_training(folder, cpcCriterion=criterion()))


def ctc(folder: Path) -> CTC:
    return CTC(save(TERA(**SMALL), folder / "tera.ckpt"), characters=" aeginorsz")


OTHERS: dict[str, Callable[[Path], SpeechModel]] = {
    "ctc": ctc,
    "hugging_face_hubert": partial(hugging_face, kind="Hubert"),
    "hugging_face_wav2vec2": partial(hugging_face, kind="Wav2Vec2"),
    "published_tera": published_tera,
    "published_cpc": published_cpc,
}


@pytest.fixture(params=[*FAMILIES, *OTHERS])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> SpeechModel:
    torch.manual_seed(0)
    name: str = request.param
    if name in FAMILIES:
        return FAMILIES[name]()
    (tmp_path / "source").mkdir()
    return OTHERS[name](tmp_path / "source")


def loader(model: SpeechModel, waveforms: Tensor, lengths: Tensor, form: str) -> DataLoader[Any]:
    if isinstance(model, CTC):
        return DataLoader([Batch(["a", "b", "c", "d"], waveforms, lengths, TEXTS)], batch_size=None)
    if form == "tensor":
        return DataLoader(waveforms, batch_size=2, shuffle=True)  # type: ignore[arg-type]
    return DataLoader(TensorDataset(*((waveforms,) if form == "tuple of one" else (waveforms, lengths))), batch_size=2)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tensor", "tuple of one", "waveforms and lengths"])
def test_every_family_trains_under_a_plain_trainer(model: SpeechModel, make_batch: MakeBatch, form: str) -> None:
    if not model.can_pretrain:
        pytest.skip("the published file holds the encoder only")
    waveforms, lengths = make_batch(0.7, 0.9, 0.9, 0.8)
    before = [parameter.detach().clone() for parameter in model.parameters() if parameter.requires_grad]
    trainer = bare_trainer(1)
    trainer.fit(model, loader(model, waveforms, lengths, form))
    after = [parameter.detach() for parameter in model.parameters() if parameter.requires_grad]
    assert trainer.global_step == (1 if isinstance(model, CTC) else 2)
    assert torch.isfinite(trainer.callback_metrics["train/loss"])
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert not model.needs_targets


def test_targets_are_fitted_without_touching_the_random_state(make_batch: MakeBatch) -> None:
    waveforms, _ = make_batch(0.7, 0.9, 0.9, 0.8)
    draws = []
    for model in (MelHuBERT(**SMALL, n_clusters=8), TERA(**SMALL)):
        torch.manual_seed(3)
        trainer = bare_trainer(1)
        trainer.fit(model, DataLoader(waveforms, batch_size=2))  # type: ignore[arg-type]
        draws.append(float(trainer.callback_metrics["train/loss"]))
    assert all(draw > 0 for draw in draws)


def test_forward_encodes_every_kind_of_batch(model: SpeechModel, make_batch: MakeBatch) -> None:
    model.eval()
    waveforms, lengths = make_batch(0.7, 0.9)
    with torch.no_grad():
        expected = model.encode(waveforms, lengths)
        for given in [(waveforms, lengths), ((waveforms, lengths),), (Batch(["a", "b"], waveforms, lengths),)]:
            encoded = model(*given)
            assert torch.equal(encoded.lengths, expected.lengths)
            assert torch.equal(encoded.hidden[-1], expected.hidden[-1])
        assert model(waveforms[1:]).lengths.tolist() == expected.lengths[1:].tolist()


def test_a_saved_model_is_the_same_model(model: SpeechModel, make_batch: MakeBatch, tmp_path: Path) -> None:
    waveforms, lengths = make_batch(0.7, 0.9)
    if model.needs_targets:
        model.fit_targets([(waveforms, lengths)])
    model.origin = {"split": "0123"}
    folder = tmp_path / "shared"
    model.save_pretrained(folder)
    (tmp_path / "source").rename(tmp_path / "gone") if (tmp_path / "source").exists() else None
    loaded = SpeechModel.from_pretrained(folder)
    assert type(loaded) is type(model)
    assert (loaded.training, loaded.origin, loaded.needs_targets) == (False, {"split": "0123"}, False)
    weights, others = model.state_dict(), loaded.state_dict()
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    with torch.no_grad():
        assert torch.equal(loaded(waveforms, lengths).hidden[-1], model.eval()(waveforms, lengths).hidden[-1])
    text = (folder / "config.json").read_text()
    assert str(tmp_path) not in text
    assert (folder / "README.md").is_file()
    again = tmp_path / "again"
    loaded.save_pretrained(again)
    assert (again / "config.json").read_text() == text


def test_a_second_iteration_carries_its_teacher(make_batch: MakeBatch, tmp_path: Path) -> None:
    batch = make_batch(0.7, 0.9)
    teacher = MelHuBERT(**SMALL, n_clusters=8)
    teacher.fit_targets([batch])
    path = save(teacher, tmp_path / "teacher.ckpt")
    student = MelHuBERT(**SMALL, n_clusters=8, targets_from=path)
    student.fit_targets([batch])
    student.save_pretrained(tmp_path / "student")
    Path(path).unlink()
    loaded = MelHuBERT.from_pretrained(tmp_path / "student")
    masks = student.draw_masks(*batch)
    torch.testing.assert_close(loaded.pretext_score(*batch, masks), student.eval().pretext_score(*batch, masks))
    assert str(tmp_path) not in (tmp_path / "student/config.json").read_text()


def test_arguments_can_be_replaced(tmp_path: Path) -> None:
    TERA(**SMALL).save_pretrained(tmp_path)
    assert TERA.from_pretrained(tmp_path, learning_rate=0.5).hparams["learning_rate"] == 0.5
    with pytest.raises(InputError, match="TERA has no argument speed; leave it out"):
        TERA.from_pretrained(tmp_path, speed=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "its config.json names no model_class"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "hubert"}'), "by PretrainedEncoder"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be loaded"),
        (lambda folder: (folder / "model.safetensors").unlink(), "do not fit its config.json, or are damaged"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"12345678"), "or are damaged"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    TERA(**SMALL).save_pretrained(tmp_path)
    change(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        TERA.from_pretrained(tmp_path)
    assert "\n" not in str(error.value)


def test_another_class_is_refused(tmp_path: Path) -> None:
    TERA(**SMALL).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="holds a TERA, not a MelHuBERT; load it by that class"):
        MelHuBERT.from_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_class": "Nothing"}))
    with pytest.raises(InputError, match="unknown model class Nothing; known: "):
        SpeechModel.from_pretrained(tmp_path)


def test_a_model_is_pushed_with_card_and_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded: dict[str, Any] = {}

    class Hub:
        def __init__(self, token: str | None = None) -> None:
            pass

        def create_repo(self, repo_id: str, **options: Any) -> Any:
            return type("Repository", (), {"repo_id": repo_id})

        def upload_folder(self, folder_path: Path, repo_id: str, **options: Any) -> str:
            uploaded.update({path.name: path.read_bytes() for path in Path(folder_path).iterdir()}, repo_id=repo_id)
            return "https://hub/commit"

    monkeypatch.setattr(huggingface_hub.hub_mixin, "HfApi", Hub)
    assert TERA(**SMALL).push_to_hub("someone/tera") == "https://hub/commit"
    assert uploaded["repo_id"] == "someone/tera"
    assert json.loads(uploaded["config.json"])["model_class"] == "TERA"
    assert b"lightning_mia" in uploaded["README.md"]
    assert "model.safetensors" in uploaded


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"input": torch.ones(2, 16_000)}, "waveforms .batch, samples.*, but got dict"),
        ((torch.ones(2, 16_000),) * 3, "but got 3 parts"),
        (torch.ones(16_000), r"Waveforms are \(16000,\) float32"),
        (torch.ones(2, 16_000, dtype=torch.int16), r"Waveforms are \(2, 16000\) int16; give float"),
        ((torch.ones(2, 16_000), torch.ones(2)), r"Lengths are \(2,\) float32, but there are 2 waveforms"),
        ((torch.ones(2, 16_000), torch.tensor([16_000])), r"Lengths are \(1,\) int64"),
        ((torch.ones(2, 16_000), torch.tensor([3, 7])), "Lengths are 3 to 7 samples; give 1600"),
        ((torch.ones(2, 16_000), torch.tensor([1600, 17_000])), "to 16000, the width of the waveforms"),
    ],
)
def test_other_batches_are_refused_in_one_line(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        as_batch(data)
    assert "\n" not in str(error.value)


def test_ctc_says_what_it_lacks(make_batch: MakeBatch, tmp_path: Path) -> None:
    waveforms, lengths = make_batch(0.7, 0.9)
    encoder = save(TERA(**SMALL), tmp_path / "tera.ckpt")
    data = DataLoader(TensorDataset(waveforms, lengths), batch_size=2)
    with pytest.raises(InputError, match="CTC has no characters: give `characters`"):
        bare_trainer(1).fit(CTC(encoder), data)
    with pytest.raises(InputError, match="CTC is trained on transcripts: give each `Batch` its `texts`"):
        bare_trainer(1).fit(CTC(encoder, characters=" no"), data)
