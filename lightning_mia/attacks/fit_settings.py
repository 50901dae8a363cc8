"""How the net of a learned attack is fitted."""

from dataclasses import dataclass, field

from lightning_mia.errors import InputError


@dataclass(frozen=True)
class FitSettings:
    """Settings of a fit; the defaults are those of Tseng et al. (2022), section 3.3, and of their code.

    A small model's frames have few numbers and a small corpus gives few steps: 80 steps of 1e-5 leave such a net
    almost as it was drawn. A rate of 1e-3 really trains it.

    Args:
        learning_rate: of Adam, constant.
        epochs: at most (the paper's number; its code allows 30).
        patience: epochs without a new least validation loss after which the fit stops (5 in the paper's code).
        batch_size: examples in a batch: utterances, or pairs of them (32 in the paper's code).
        dropout: probability.
        cache_bytes: frames of the labelled recordings that are kept in memory (bytes); for others the model is
            asked again in every epoch.
    """

    learning_rate: float = 1e-5
    epochs: int = 20
    patience: int = 5
    batch_size: int = 32
    dropout: float = 0.2
    cache_bytes: int = field(default=2**30, repr=False)  # no part of what the scores depend on

    def __post_init__(self) -> None:
        """Refuse what no net can be fitted with."""
        for name in ("epochs", "patience", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"fit.{name} of an attack is {getattr(self, name)}: give 1 or more")
        if self.learning_rate <= 0:
            raise InputError(f"fit.learning_rate of an attack is {self.learning_rate:g}: give a positive number")
        if not 0 <= self.dropout < 1:
            raise InputError(f"fit.dropout of an attack is {self.dropout:g}: give 0 or more and less than 1")
