import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lightning_mia.attacks.frame_networks.network import AttentionPooling
from lightning_mia.models.layers.features import padding_mask

LENGTHS = (3, 40, 11)


def utterances(dim: int = 6) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(length, dim, generator=generator) for length in LENGTHS]


def pooling(dim: int = 6) -> AttentionPooling:
    torch.manual_seed(0)
    return AttentionPooling(dim)


def published(hidden: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    """Pool with the mask of the paper's code, which adds 1 to the logit of padding."""
    logits = (hidden @ weight.T).squeeze(-1) + padding_mask(lengths, hidden.shape[1])
    return (logits.softmax(-1).unsqueeze(-1) * hidden).sum(1)


def test_pooling_equals_a_loop_over_frames() -> None:
    net, own = pooling(), utterances()
    with torch.no_grad():
        pooled = net(pad_sequence(own, batch_first=True), torch.tensor(LENGTHS))
        for frames, vector in zip(own, pooled, strict=True):
            weights = [torch.exp(net.score.weight[0] @ frame) for frame in frames]
            expected = sum(weight * frame for weight, frame in zip(weights, frames, strict=True)) / sum(weights)
            torch.testing.assert_close(vector, expected, rtol=1e-5, atol=1e-6)


def test_padding_does_not_matter_unlike_with_the_published_mask() -> None:
    net, own = pooling(), utterances()
    padded = pad_sequence(own, batch_first=True)
    junk = torch.where(padding_mask(torch.tensor(LENGTHS), max(LENGTHS)).unsqueeze(-1), 1e4, padded)
    with torch.no_grad():
        for row, length in enumerate(LENGTHS):
            alone = own[row][None], torch.tensor([length])
            for batch in (padded, junk):
                torch.testing.assert_close(net(batch, torch.tensor(LENGTHS))[row], net(*alone)[0])
        before = published(own[0][None], torch.tensor([3]), net.score.weight)
        after = published(padded, torch.tensor(LENGTHS), net.score.weight)[:1]
    # 37 of its 40 frames are padding, each with e times the weight
    assert (after - before).norm() > 0.5 * before.norm()


def test_pooling_a_single_frame_returns_it() -> None:
    frame = torch.randn(1, 1, 6)
    assert torch.equal(pooling()(frame, torch.tensor([1])), frame[:, 0])
