"""What transformers itself says of one recording alone, with the checkpoint's own preprocessor, is the truth."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from lightning_mia.models.huggingface import HuggingFaceEncoder, load_encoder

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
Get = Callable[[str], Path]
Save = Callable[..., Path]
SECONDS = (0.6, 1.31, 0.1, 0.83, 0.1063, 3.4)  # odd and even numbers of frames; the last longer than Whisper's window
NO_DROPOUT = dict.fromkeys(("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout"), 0.0)


def alone(folder: Path, waveform: Tensor, **options: Any) -> tuple[Tensor, ...]:
    """The input of every block, (frames, dim), and last the last hidden state, by transformers."""
    preprocessor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    encoder = model.encoder if isinstance(model, transformers.WhisperModel) else model
    inputs = preprocessor(waveform.numpy(), sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        answer = encoder(**inputs, **options, output_hidden_states=True)
    return tuple(hidden[0] for hidden in (*answer.hidden_states[:-1], answer.last_hidden_state))


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Relative, over the frames that we count."""
    if len(theirs) < len(ours):  # SEW's blocks: one place for two frames
        theirs = theirs.repeat_interleave(2, dim=0)
    theirs = theirs[: len(ours)]
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.slow
@pytest.mark.parametrize("learning", [False, True])
def test_batches_equal_transformers_on_single_recordings(
    family: str, learning: bool, checkpoint: Get, make_batch: MakeBatch
) -> None:
    """With and without gradients, which take different paths through the convolutions."""
    folder = checkpoint(family)
    waveforms, lengths = make_batch(*SECONDS)
    with torch.set_grad_enabled(learning):
        encoded = load_encoder(str(folder)).eval()(waveforms, lengths)
    for i, length in enumerate(lengths.tolist()):
        expected = alone(folder, waveforms[i, :length])
        n_frames = int(encoded.lengths[i])
        assert len(expected) == len(encoded.hidden) == 3
        assert len(expected[-1]) - n_frames in ((0, 1) if family != "whisper" else range(150))
        for ours, theirs in zip(encoded.hidden, expected, strict=True):
            assert distance(ours[i, :n_frames].detach(), theirs) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_do_not_depend_on_batch_and_padding(
    family: str, masked: bool, checkpoint: Get, make_batch: MakeBatch
) -> None:
    encoder = load_encoder(str(checkpoint(family))).eval()
    waveforms, lengths = make_batch(0.6, 12.0, 0.1, 0.83)
    padded = torch.nn.functional.pad(waveforms, (0, 9_000))
    width, padded_width = (int(encoder.frame_lengths(torch.tensor(x.shape[1]))) for x in (waveforms, padded))
    masks = torch.rand(4, width, generator=torch.Generator().manual_seed(0)) < 0.3 if masked else None
    others = None if masks is None else torch.nn.functional.pad(masks, (0, padded_width - width))[[3, 2, 0]]
    with torch.no_grad():
        encoded = encoder(waveforms, lengths, masks)
        other = encoder(padded[[3, 2, 0]], lengths[[3, 2, 0]], others)
    assert other.hidden[0].shape[1] == padded_width
    for here, there in enumerate([3, 2, 0]):
        n_frames = int(encoded.lengths[there])
        assert int(other.lengths[here]) == n_frames
        for first, second in zip(encoded.hidden, other.hidden, strict=True):
            assert distance(second[here, :n_frames], first[there, :n_frames]) <= 1e-5


@pytest.mark.parametrize("family", ["wav2vec2", "data2vec", "conformer_relative", "sew"], indirect=True)
def test_transformers_itself_depends_on_padding(family: str, checkpoint: Get, make_batch: MakeBatch) -> None:
    """So that the tests above test something."""
    folder = checkpoint(family)
    waveforms, lengths = make_batch(0.6, 1.3)
    preprocessor = transformers.AutoFeatureExtractor.from_pretrained(folder, return_attention_mask=True)
    rows = [row[:length].numpy() for row, length in zip(waveforms, lengths, strict=True)]
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        together = model(**preprocessor(rows, sampling_rate=16_000, return_tensors="pt", padding=True))
    theirs = alone(folder, waveforms[0, : lengths[0]])[-1]
    assert distance(together.last_hidden_state[0, : len(theirs)], theirs) > 0.1


HEADS = [
    ("wav2vec2", "ForCTC"),
    ("wav2vec2", "ForPreTraining"),
    ("wav2vec2", "ForSequenceClassification"),
    ("wav2vec2", "ForXVector"),  # its head has a `feature_extractor` too
    ("hubert", "ForCTC"),
    ("wavlm", "ForAudioFrameClassification"),
    ("data2vec", "ForCTC"),
    ("unispeech", "ForPreTraining"),
    ("unispeech_sat", "ForPreTraining"),
    ("conformer_relative", "ForPreTraining"),
    ("wav2vec2_bert", "ForCTC"),
    ("sew", "ForCTC"),
    ("whisper", "ForConditionalGeneration"),
    ("whisper", "ForAudioClassification"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "head"), HEADS)
def test_heads_are_ignored(family: str, head: str, save_checkpoint: Save, make_batch: MakeBatch) -> None:
    folder = save_checkpoint(family, head)
    waveforms, lengths = make_batch(0.5, 0.4)
    with torch.no_grad():
        encoded = load_encoder(str(folder)).eval()(waveforms, lengths)
    ours = encoded.hidden[-1][1, : int(encoded.lengths[1])]
    assert distance(ours, alone(folder, waveforms[1, : lengths[1]])[-1]) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("family", ["wav2vec2", "wavlm", "conformer_rotary", "wav2vec2_bert", "sew"], indirect=True)
def test_masks_use_the_models_mask_embedding(family: str, checkpoint: Get, make_batch: MakeBatch) -> None:
    folder = checkpoint(family)
    encoder = load_encoder(str(folder)).eval()
    waveforms, lengths = make_batch(0.9, 0.62)
    n_frames = encoder.frame_lengths(lengths).tolist()
    masks = torch.zeros(2, n_frames[0], dtype=torch.bool)
    masks[0, 3:9] = masks[1, 1:4] = True
    with torch.no_grad():
        encoded = encoder(waveforms, lengths, masks)
    for i, length in enumerate(lengths.tolist()):
        n_theirs = len(alone(folder, waveforms[i, :length])[-1])
        mask = torch.zeros(1, n_theirs, dtype=torch.bool)
        mask[0, : n_frames[i]] = masks[i, : n_frames[i]]
        expected = alone(folder, waveforms[i, :length], mask_time_indices=mask)
        for ours, theirs in zip(encoded.hidden, expected, strict=True):
            assert distance(ours[i, : n_frames[i]], theirs) <= 1e-5


def test_whisper_masks_log_mel_frames(checkpoint: Get, make_batch: MakeBatch) -> None:
    folder = checkpoint("whisper")
    waveforms, lengths = make_batch(0.5)
    masks = torch.zeros(1, 25, dtype=torch.bool)
    masks[0, 4:7] = True
    preprocessor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    features = preprocessor(waveforms[0].numpy(), sampling_rate=16_000, return_tensors="pt").input_features
    features[..., 8:14] = 0
    with torch.no_grad():
        expected = transformers.AutoModel.from_pretrained(folder).eval().encoder(features).last_hidden_state
        encoded = load_encoder(str(folder)).eval()(waveforms, lengths, masks)
    assert distance(encoded.hidden[-1][0], expected[0]) <= 1e-5


@pytest.mark.parametrize("lacks", ["weight", "probability"])
def test_masked_frames_are_zero_without_an_embedding(lacks: str, save_checkpoint: Save, make_batch: MakeBatch) -> None:
    """Checkpoints that were fine-tuned without masks do not have it; some keep it in the weights alone."""
    folder = save_checkpoint("wav2vec2", **({"mask_time_prob": 0.0} if lacks == "probability" else {}))
    if lacks == "weight":
        model = transformers.AutoModel.from_pretrained(folder)
        del model.masked_spec_embed
        model.save_pretrained(folder)
    encoder = load_encoder(str(folder)).eval()
    assert encoder.model.masked_spec_embed.abs().sum() == 0
    waveforms, lengths = make_batch(0.5)
    frames = encoder.frames(waveforms, lengths)
    projected = []
    encoder.model.encoder.register_forward_pre_hook(lambda module, inputs: projected.append(inputs[0].clone()))
    encoder.transform(frames, lengths, torch.arange(24).unsqueeze(0) < 5)
    assert torch.equal(projected[0][0, :5], torch.zeros(5, 16))
    assert (projected[0][0, 5:].abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("do_normalize", [True, False])
def test_normalisation_follows_the_preprocessor(
    do_normalize: bool, save_checkpoint: Save, make_batch: MakeBatch
) -> None:
    folder = save_checkpoint("wav2vec2_layer_norm")
    transformers.Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(folder)
    waveforms, lengths = make_batch(0.5, 0.7)
    waveforms = waveforms + 0.01 * (torch.arange(waveforms.shape[1]) < lengths.unsqueeze(1))  # with an offset
    with torch.no_grad():
        encoded = load_encoder(str(folder)).eval()(waveforms, lengths)
    theirs = alone(folder, waveforms[0, : lengths[0]])[-1]
    assert distance(encoded.hidden[-1][0, : len(theirs)], theirs) <= 1e-5


def test_quiet_recordings_are_normalised_as_in_transformers(checkpoint: Get, make_batch: MakeBatch) -> None:
    waveforms, lengths = make_batch(0.5)
    waveforms = waveforms * 1e-2  # whose variance is near the floor of the preprocessor
    with torch.no_grad():
        encoded = load_encoder(str(checkpoint("wav2vec2_layer_norm"))).eval()(waveforms, lengths)
    assert distance(encoded.hidden[-1][0], alone(checkpoint("wav2vec2_layer_norm"), waveforms[0])[-1]) <= 1e-5


def test_training_mode_is_deterministic(save_checkpoint: Save, make_batch: MakeBatch) -> None:
    """SpecAugment and layer drop are off; what is random is dropout, and here there is none."""
    folder = save_checkpoint("wav2vec2", layerdrop=0.9, mask_time_prob=0.5, mask_feature_prob=0.5, **NO_DROPOUT)
    encoder = load_encoder(str(folder))
    assert encoder.training
    batch = make_batch(0.5, 0.9)
    first = encoder(*batch).hidden
    for training, evaluation in zip(first, encoder.eval()(*batch).hidden, strict=True):
        torch.testing.assert_close(training, evaluation)


@pytest.mark.parametrize("family", ["conformer_relative", "conformer_rotary", "wav2vec2_bert"], indirect=True)
def test_lower_precision_leaves_no_cached_state(family: str, checkpoint: Get, make_batch: MakeBatch) -> None:
    """Transformers keeps positions in the precision of the last run."""
    encoder = load_encoder(str(checkpoint(family))).eval()
    batch = make_batch(0.5, 0.9)
    with torch.no_grad():
        before = encoder(*batch).hidden[-1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            encoder(*batch)
        assert torch.equal(encoder(*batch).hidden[-1], before)


@pytest.mark.slow
def test_inference_then_training(family: str, checkpoint: Get, make_batch: MakeBatch) -> None:
    encoder = load_encoder(str(checkpoint(family)))
    batch = make_batch(0.5, 0.9)
    with torch.inference_mode():
        encoder.eval()(*batch)
    encoder.train()(*batch).hidden[-1].sum().backward()
    gradients = [parameter.grad for block in encoder.layers for parameter in block.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.slow
def test_bf16_is_close(family: str, checkpoint: Get, make_batch: MakeBatch) -> None:
    encoder = load_encoder(str(checkpoint(family))).eval()
    waveforms, lengths = make_batch(0.5, 0.9)
    with torch.no_grad():
        full = encoder(waveforms, lengths)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = encoder(waveforms, lengths)
    n_frames = int(full.lengths[0])
    assert distance(half.hidden[-1][0, :n_frames].float(), full.hidden[-1][0, :n_frames]) < 0.1


def test_weights_keep_their_names(family: str, checkpoint: Get) -> None:
    theirs = transformers.AutoModel.from_pretrained(checkpoint(family))
    if family == "whisper":
        theirs = theirs.encoder
    ours = load_encoder(str(checkpoint(family)))
    assert ours.state_dict().keys() == {f"model.{name}" for name in theirs.state_dict()}
    ours.model.load_state_dict(theirs.state_dict())


@pytest.mark.parametrize("family", ["wavlm", "conformer_relative", "whisper"], indirect=True)
def test_copies_are_independent(family: str, checkpoint: Get, make_batch: MakeBatch) -> None:
    batch = make_batch(0.5, 0.9)
    encoder = load_encoder(str(checkpoint(family))).eval()
    twin: HuggingFaceEncoder = copy.deepcopy(encoder)
    with torch.no_grad():
        before = encoder(*batch).hidden
        for parameter in twin.parameters():
            parameter.mul_(1.5)
        for first, second, other in zip(before, encoder(*batch).hidden, twin(*batch).hidden, strict=True):
            assert torch.equal(first, second)
            assert not torch.allclose(first, other)


@pytest.mark.parametrize("family", ["wav2vec2", "wav2vec2_bert"], indirect=True)
def test_adapter_is_ignored(family: str, save_checkpoint: Save, make_batch: MakeBatch) -> None:
    folder = save_checkpoint(family, add_adapter=True, output_hidden_size=16, num_adapter_layers=1)
    waveforms, lengths = make_batch(0.5, 0.4)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    seen: list[Tensor] = []
    model.adapter.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    inputs = transformers.AutoFeatureExtractor.from_pretrained(folder)(
        waveforms[0].numpy(), sampling_rate=16_000, return_tensors="pt"
    )
    with torch.no_grad():
        model(**inputs)
        encoded = load_encoder(str(folder)).eval()(waveforms, lengths)
    assert distance(encoded.hidden[-1][0, : int(encoded.lengths[0])], seen[0][0]) <= 1e-5
