import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_mia.models.layers.transformer import Block, ConvolutionalPositions, SinusoidalPositions, Transformer

SIZES = {"dim": 8, "n_layers": 3, "n_heads": 2, "feedforward_dim": 16, "dropout": 0.0}


class NoPositions(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def twin_of(block: Block, pre_norm: bool) -> torch.nn.TransformerEncoderLayer:
    """PyTorch's own block with the same weights."""
    sizes = (SIZES["dim"], SIZES["n_heads"], SIZES["feedforward_dim"], 0.0, torch.nn.functional.gelu)
    twin = torch.nn.TransformerEncoderLayer(*sizes, batch_first=True, norm_first=pre_norm)
    pairs = [
        (twin.self_attn.in_proj_weight, block.queries_keys_values.weight),
        (twin.self_attn.in_proj_bias, block.queries_keys_values.bias),
    ]
    modules = {
        twin.self_attn.out_proj: block.attention_output,
        twin.linear1: block.feedforward[0],
        twin.linear2: block.feedforward[3],
        twin.norm1: block.attention_norm,
        twin.norm2: block.feedforward_norm,
    }
    pairs += [
        pair for theirs, ours in modules.items() for pair in zip(theirs.parameters(), ours.parameters(), strict=True)
    ]
    with torch.no_grad():
        for theirs, ours in pairs:
            ours.add_(0.1 * torch.randn_like(ours))  # norms and biases start at 1 and 0
            theirs.copy_(ours)
    return twin


@pytest.mark.parametrize("pre_norm", [True, False])
def test_block_equals_pytorch(pre_norm: bool) -> None:
    torch.manual_seed(0)
    block = Block(SIZES["dim"], SIZES["n_heads"], SIZES["feedforward_dim"], 0.0, pre_norm)
    twin = twin_of(block, pre_norm)
    x, padding = torch.randn(3, 7, 8), torch.arange(7) >= torch.tensor([[7], [4], [1]])
    ours, theirs = block(x, ~padding[:, None, None]), twin(x, src_key_padding_mask=padding)
    torch.testing.assert_close(ours[~padding], theirs[~padding])
    gradients = torch.autograd.grad(ours[~padding].square().sum(), [block.queries_keys_values.weight])
    torch.testing.assert_close(
        gradients, torch.autograd.grad(theirs[~padding].square().sum(), [twin.self_attn.in_proj_weight])
    )


@pytest.mark.parametrize("pre_norm", [True, False])
def test_hidden_states_are_the_outputs_of_the_blocks(pre_norm: bool) -> None:
    torch.manual_seed(0)
    x, padding = torch.randn(2, 7, 8), torch.zeros(2, 7, dtype=torch.bool)
    model = Transformer(NoPositions(), **SIZES, pre_norm=pre_norm).eval()
    expected = [x if pre_norm else model.norm(x)]
    for layer in model.layers:
        expected.append(layer(expected[-1], ~padding[:, None, None]))
    if pre_norm:
        expected[-1] = model.norm(expected[-1])
    hidden = model(x, padding)
    assert len(hidden) == 4
    for ours, theirs in zip(hidden, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_dropout_in_training_only() -> None:
    torch.manual_seed(0)
    model = Transformer(NoPositions(), **{**SIZES, "dropout": 0.5}, pre_norm=True)
    x, padding = torch.randn(1, 7, 8), torch.zeros(1, 7, dtype=torch.bool)
    assert not torch.equal(model(x, padding)[-1], model(x, padding)[-1])
    model.eval()
    assert torch.equal(model(x, padding)[-1], model(x, padding)[-1])


def test_sinusoidal_positions() -> None:
    positions = SinusoidalPositions()(torch.zeros(1, 50, 8)).numpy()
    for frame in (0, 1, 49):
        for i in range(4):
            angle = frame / 10_000 ** (2 * i / 8)
            np.testing.assert_allclose(positions[frame, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)], atol=1e-5)


def test_convolutional_positions_reach_as_far_as_the_kernel() -> None:
    torch.manual_seed(0)
    positions = ConvolutionalPositions(dim=8, kernel=6, groups=4)
    x = torch.zeros(1, 40, 8)
    x[0, 20] = 1.0
    moved = (positions(x) - positions(torch.zeros_like(x))).abs().sum(dim=2)[0] > 0
    assert moved.nonzero()[:, 0].tolist() == list(range(18, 24))  # six frames in a row around the 20th
