"""Base class of membership designs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import pandas as pd

from lightning_mia.splits.split import Split


class Design(ABC):
    """A random assignment of membership. Subclasses implement `draw`.

    Example:
        >>> from lightning_mia.splits import UtteranceDesign
        >>> table = pd.DataFrame({"id": [f"{i:02d}" for i in range(20)], "speaker": ["Ann", "Bob"] * 10})
        >>> split = UtteranceDesign(n_units=16, n_auxiliary=4).draw(table, {name: name for name in table["id"]}, seed=1)
        >>> split.table["role"].value_counts().to_dict()
        {'member': 8, 'nonmember': 8, 'auxiliary': 4}
    """

    @abstractmethod
    def draw(self, table: pd.DataFrame, contents: Mapping[str, str], n_shadows: int = 0, seed: int = 0) -> Split:
        """Draw the split.

        Args:
            table: utterance table with `id` and `speaker`, in any order.
            contents: SHA-256 of the decoded audio, by id.
            n_shadows: number of shadow models; adding more does not change the members of the first ones.
            seed: seed of the split, independent of the training seed.

        Raises:
            InputError: fewer than two speakers, or too few units for 4 members and 4 non-members.
        """
