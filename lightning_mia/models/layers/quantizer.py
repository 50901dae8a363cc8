"""Product quantisation by Gumbel softmax (Baevski et al. 2020, §2)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class Quantised:
    """Quantised frames."""

    vectors: Tensor  # (batch, frames, code dim) float32, concatenated vectors of the chosen codes
    codes: Tensor  # (batch, frames, codebooks) int64, chosen codes
    probabilities: Tensor  # (batch, frames, codebooks, codes) float32, without noise and temperature


class GumbelQuantizer(nn.Module):
    """Codebooks and the layer that chooses from them.

    Parameters are named as in transformers. transformers' `Wav2Vec2GumbelVectorQuantizer` multiplies every code's
    vector by zero or one, for every frame; the matrix product here needs 1 / (code dim / codebooks) of the memory, and
    the chosen codes are returned too.

    Args:
        dim: width of the frames.
        n_codebooks: codebooks.
        codebook_size: codes per codebook.
        code_dim: width of the concatenated vectors of all codebooks.

    Raises:
        InputError: code_dim is not a multiple of n_codebooks, no codebook, or fewer than two codes.

    Example:
        >>> quantizer = GumbelQuantizer(dim=8, n_codebooks=2, codebook_size=4, code_dim=6)
        >>> quantised = quantizer(torch.randn(1, 10, 8), temperature=None)
        >>> quantised.vectors.shape, quantised.codes.shape
        (torch.Size([1, 10, 6]), torch.Size([1, 10, 2]))
    """

    def __init__(self, dim: int, n_codebooks: int, codebook_size: int, code_dim: int) -> None:
        super().__init__()
        if n_codebooks < 1 or codebook_size < 2:
            raise InputError(
                f"Expected n_codebooks of at least 1 and codebook_size of at least 2, "
                f"but got {n_codebooks} and {codebook_size}"
            )
        if code_dim % n_codebooks:
            raise InputError(f"Expected code_dim to be a multiple of n_codebooks = {n_codebooks}, but got {code_dim}")
        self.n_codebooks, self.codebook_size = n_codebooks, codebook_size
        self.codevectors = nn.Parameter(torch.rand(1, n_codebooks * codebook_size, code_dim // n_codebooks))
        self.weight_proj = nn.Linear(dim, n_codebooks * codebook_size)
        nn.init.normal_(self.weight_proj.weight)
        nn.init.zeros_(self.weight_proj.bias)

    def forward(self, frames: Tensor, temperature: float | None) -> Quantised:
        """(batch, frames, dim) → codes and their vectors, see `quantise`."""
        logits = self.weight_proj(frames).unflatten(2, (self.n_codebooks, self.codebook_size))
        return quantise(logits, self.codevectors.view(self.n_codebooks, self.codebook_size, -1), temperature)


def quantise(logits: Tensor, codebooks: Tensor, temperature: float | None) -> Quantised:
    """Choose a code from every codebook, in float32.

    Args:
        logits: (batch, frames, codebooks, codes).
        codebooks: (codebooks, codes, code dim / codebooks), vectors of the codes.
        temperature: temperature of the Gumbel softmax: codes are drawn with noise from torch's global generator, and
            gradients flow as if the softmax had been used (straight-through); None: the most probable codes, without
            noise.
    """
    with torch.autocast(logits.device.type, enabled=False):
        logits = logits.float()
        if temperature is None:
            codes = logits.argmax(dim=3)
            chosen = F.one_hot(codes, logits.shape[3]).float()
        else:
            chosen = F.gumbel_softmax(logits, tau=temperature, hard=True)
            codes = chosen.argmax(dim=3)
        vectors = torch.einsum("btgv,gvd->btgd", chosen, codebooks.float()).flatten(2)
        return Quantised(vectors, codes, logits.softmax(dim=3))
