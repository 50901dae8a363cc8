from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import transformers
from torch import nn

from lightning_mia.models.hubert import HuBERT
from lightning_mia.models.optimizer import block_index, is_front_end, layer_wise, linear_schedule, warmup_then_decay
from lightning_mia.models.tera import TERA
from lightning_mia.utilities.errors import InputError

TINY = {"n_layers": 3, "dim": 16, "n_heads": 2, "feedforward_dim": 32}
TINY_HF = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}


def hugging_face(name: str, **settings: object) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        config = getattr(transformers, f"{name}Config")(**{**TINY_HF, **settings})
        return getattr(transformers, f"{name}Model")(config)

    return make


ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "tera": lambda: TERA(**TINY),
    "hubert": lambda: HuBERT(**TINY, conv_channels=8),
    "hf_wav2vec2": hugging_face("Wav2Vec2"),
    "hf_hubert": hugging_face("Hubert"),
    "hf_wavlm": hugging_face("WavLM"),
    "hf_data2vec": hugging_face("Data2VecAudio", conv_pos_kernel_size=3),  # its positions have `layers` too
    "hf_wav2vec2_adapter": hugging_face("Wav2Vec2", add_adapter=True, output_hidden_size=16),  # and so have adapters
    "hf_conformer": hugging_face("Wav2Vec2Conformer"),
}


@pytest.fixture(params=ENCODERS, scope="module")
def encoder(request: pytest.FixtureRequest) -> nn.Module:
    return ENCODERS[request.param]()


def blocks_of(encoder: nn.Module) -> nn.ModuleList:
    inner = encoder.transformer if hasattr(encoder, "transformer") else encoder.encoder
    return inner.layers


def test_block_index_matches_the_modules(encoder: nn.Module) -> None:
    number = {id(p): i for i, block in enumerate(blocks_of(encoder)) for p in block.parameters()}
    for name, parameter in encoder.named_parameters():
        assert block_index(name) == number.get(id(parameter)), name


def test_front_end_parameters_are_identified(encoder: nn.Module) -> None:
    front_end = getattr(encoder, "front_end", None) or getattr(encoder, "feature_extractor", None)
    expected = {id(p) for p in front_end.parameters()} if front_end else set()
    assert {id(p) for name, p in encoder.named_parameters() if is_front_end(name)} == expected


def test_whisper_convolutions_are_a_front_end() -> None:
    sizes = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
    config = transformers.WhisperConfig(
        **sizes, decoder_layers=1, decoder_attention_heads=2, vocab_size=10, pad_token_id=0
    )
    names = [name for name, _ in transformers.WhisperModel(config).encoder.named_parameters()]
    front_end = {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"}
    assert {name for name in names if is_front_end(name)} == front_end
    assert {block_index(name) for name in names} == {None, 0, 1}


def test_learning_rates_decay_from_head_to_input(encoder: nn.Module) -> None:
    head = nn.Linear(16, 4)
    groups = layer_wise(encoder.named_parameters(), head.parameters(), learning_rate=1.0, decay=0.5)
    assert [group["lr"] for group in groups] == [1, 0.5, 0.25, 0.125, 0.0625]
    rate = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert rate[id(head.weight)] == 1
    for depth, block in enumerate(reversed(blocks_of(encoder)), start=1):
        assert all(rate.pop(id(parameter)) == 0.5**depth for parameter in block.parameters())
    of_no_block = {id(p) for name, p in encoder.named_parameters() if block_index(name) is None}
    assert {key for key, value in rate.items() if value == 0.0625} == of_no_block


def test_groups_partition_the_trainable_parameters() -> None:
    encoder, head = TERA(**TINY), nn.Linear(16, 4)
    encoder.projection.requires_grad_(False)
    for decay in (1.0, 0.9):
        groups = layer_wise(encoder.named_parameters(), head.parameters(), 1e-3, decay)
        grouped = [id(parameter) for group in groups for parameter in group["params"]]
        expected = {id(p) for p in (*encoder.parameters(), *head.parameters()) if p.requires_grad}
        assert len(grouped) == len(set(grouped))
        assert set(grouped) == expected


def test_no_decay_gives_one_group() -> None:
    encoder, head = TERA(**TINY), nn.Linear(16, 4)
    assert [group["lr"] for group in layer_wise(encoder.named_parameters(), head.parameters(), 1e-3, 1.0)] == [1e-3]


def test_encoder_without_blocks_is_one_group() -> None:
    groups = layer_wise(nn.GRU(4, 4).named_parameters(), nn.Linear(4, 2).parameters(), 1.0, 0.5)
    assert [group["lr"] for group in groups] == [1.0, 0.5]


def test_schedule_scales_the_rate_of_each_group() -> None:
    encoder, head = TERA(**TINY), nn.Linear(16, 4)
    optimizer = torch.optim.AdamW(layer_wise(encoder.named_parameters(), head.parameters(), 1.0, 0.5), lr=7.0)
    schedule = linear_schedule(optimizer, total_steps=10, warmup_fraction=0.2)
    assert schedule.get_last_lr() == [0.5, 0.25, 0.125, 0.0625, 0.03125]  # the first of two steps of warm-up


@pytest.mark.parametrize("total_steps", [1, 2, 9, 100, 1234])
def test_schedule_rises_for_a_tenth_then_falls_to_zero(total_steps: int) -> None:
    factor = warmup_then_decay(total_steps, 0.1)
    rates = [factor(step) for step in range(total_steps + 1)]
    peak = rates.index(max(rates))
    assert rates[peak] == 1
    assert rates[-1] == 0
    assert min(rates[:-1]) > 0
    assert peak == max(1, round(0.1 * total_steps)) - 1
    assert all(before < after for before, after in pairwise(rates[: peak + 1]))


def test_endless_training_is_refused() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(InputError, match="max_epochs"):
        linear_schedule(optimizer, float("inf"), 0.1)
