"""What every membership design answers to."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import pandas as pd

from lightning_mia.splits.split import Split


class Design(ABC):
    """A way of drawing members at random; a new one is a subclass in a file of its own."""

    @abstractmethod
    def draw(self, table: pd.DataFrame, contents: Mapping[str, str], n_shadows: int = 0, seed: int = 0) -> Split:
        """Draw the split.

        Args:
            table: table of utterances with `id` and `speaker`; the order of its rows does not matter.
            contents: SHA-256 of the decoded audio of every id of the table.
            n_shadows: number of shadow models; a larger fleet keeps the columns of the smaller one.
            seed: of the split, apart from that of the training.

        Raises:
            InputError: fewer than two speakers, or too few units for 4 members and 4 non-members.
        """
