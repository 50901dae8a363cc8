from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import HubertConfig, HubertModel

from lightning_mia.models.hubert import HuBERT, MelHuBERT
from lightning_mia.models.layers.features import normalise

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
BASE = {
    "conv_channels": 512,
    "conv_group_norm": True,
    "n_layers": 12,
    "dim": 768,
    "n_heads": 12,
    "feedforward_dim": 3072,
    "pre_norm": False,
    "position_kernel": 128,
    "position_groups": 16,
    "code_dim": 256,
}


@pytest.mark.parametrize(("n_clusters", "parameters"), [(500, 94_696_576), (100, 94_594_176)])
def test_base_has_the_published_size(n_clusters: int, parameters: int) -> None:
    with torch.device("meta"):
        model = HuBERT(**BASE, n_clusters=n_clusters)
    assert sum(p.numel() for p in model.parameters()) == parameters  # the published encoder's 94,371,712 and its head


def twin_of(theirs: HubertModel) -> HuBERT:
    """Our model with the weights of a small Hugging Face one of the published base's shape."""
    ours = HuBERT(
        conv_channels=8, conv_group_norm=True, n_layers=2, dim=16, n_heads=2, feedforward_dim=32, pre_norm=False,
        position_kernel=128, position_groups=4,
    )  # fmt: skip
    names = {
        "feature_extractor.conv_layers.0.layer_norm": "front_end.norms.0",
        "feature_projection.layer_norm": "frame_norm",
        "feature_projection.projection": "projection",
        "masked_spec_embed": "mask_embedding",
        "encoder.pos_conv_embed.conv": "transformer.positions.convolution",
        "encoder.layer_norm": "transformer.norm",
        "feature_extractor.conv_layers": "front_end.convolutions",
        "encoder.layers": "transformer.layers",
        ".conv.weight": ".weight",
        "attention.out_proj": "attention_output",
        "feed_forward.intermediate_dense": "feedforward.0",
        "feed_forward.output_dense": "feedforward.3",
        "final_layer_norm": "feedforward_norm",
        "layers.0.layer_norm": "layers.0.attention_norm",
        "layers.1.layer_norm": "layers.1.attention_norm",
    }
    state = {}
    for key, value in theirs.state_dict().items():
        for old, new in names.items():
            key = key.replace(old, new)
        state[key] = value
    for layer in (0, 1):
        for kind in ("weight", "bias"):
            parts = [state.pop(f"transformer.layers.{layer}.attention.{x}_proj.{kind}") for x in "qkv"]
            state[f"transformer.layers.{layer}.queries_keys_values.{kind}"] = torch.cat(parts)
    missing, unexpected = ours.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith(("clusters.", "code")) for name in missing)
    return ours.eval()


def test_group_norm_variant_equals_hugging_face(make_batch: MakeBatch) -> None:
    """One recording at a time; padded together, theirs differ and ours do not (see test_speech_models)."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    convolutions = {"conv_dim": (8,) * 7, "num_conv_pos_embedding_groups": 4}
    theirs = HubertModel(HubertConfig(**sizes, **convolutions)).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # norms and biases start at 1 and 0
        ours = twin_of(theirs)
        for seconds in (0.1, 1.3):
            waveforms, lengths = make_batch(seconds)
            waveforms = normalise(waveforms.unsqueeze(2), lengths).squeeze(2)  # their feature extractor's part
            expected = theirs(waveforms, output_hidden_states=True).hidden_states
            for hidden, layer in zip(ours.encode(waveforms, lengths).hidden, expected, strict=True):
                torch.testing.assert_close(hidden, layer, rtol=1e-3, atol=1e-4)


def test_score_requires_fitted_clusters(make_batch: MakeBatch) -> None:
    model, (waveforms, lengths) = MelHuBERT(), make_batch(0.3)
    with pytest.raises(RuntimeError, match="fit_targets"):
        model.pretext_score(waveforms, lengths, model.draw_masks(waveforms, lengths))


@pytest.mark.parametrize("model_class", [HuBERT, MelHuBERT])
@pytest.mark.parametrize("samples", [1600, 1719, 1720, 1760, 1880, 2039, 2040, 16_000])
def test_every_frame_has_a_target(model_class: type[HuBERT | MelHuBERT], samples: int) -> None:
    model = model_class(n_layers=1)
    waveforms, lengths = torch.randn(1, samples), torch.tensor([samples])
    frames, targets = model._frames_and_targets(waveforms, lengths)
    assert frames.shape[1] == targets.shape[1] == model.frame_lengths(lengths).item()


def test_frames_and_targets_cover_the_same_samples() -> None:
    """A click in the middle of a frame changes that frame, and its target changes there at the latest."""
    waveforms, lengths = torch.zeros(1, 16_000), torch.tensor([16_000])
    waveforms[0, 8_000] = 1.0
    for model in (MelHuBERT(), HuBERT()):
        frames = model._frames(waveforms, lengths)[0]
        changed = (frames - frames[0]).abs().sum(dim=1) > 1e-3
        mfcc = model.clusters.mfcc(model.log_mel(waveforms), model.log_mel.frame_lengths(lengths))[0]
        loud = (mfcc[:, 0] - mfcc[0, 0]).abs() > 1e-3
        assert changed[24]  # samples 7,680 to 8,080
        assert loud[24]


def test_collapse_is_reported() -> None:
    assert not MelHuBERT().collapse({"loss": 3.9, "code_perplexity": 40.0, "masked_accuracy": 0.1})
    assert "code perplexity 1.20" in MelHuBERT().collapse({"code_perplexity": 1.2})
