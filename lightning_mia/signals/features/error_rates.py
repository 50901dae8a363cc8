"""Transcription error rates of members and non-members."""

import pandas as pd

from lightning_mia.signals.table import Signals


def error_rates(signals: Signals, challenge: pd.DataFrame) -> pd.DataFrame:
    """Compute word and character error rates of a CTC model.

    Rates are corpus-level: all errors over all words (characters) of the references.

    Args:
        signals: signals of a model with a CTC score.
        challenge: columns `id` and `member` (bool or 0 and 1), one row per recording.

    Returns:
        Rows "members" and "others" (non-members), unless empty; columns `recordings`, `word_error_rate` and
        `character_error_rate`.
    """
    side = challenge["member"].astype(bool).map({True: "members", False: "others"}).to_numpy()
    counts = signals.scalars.loc[
        challenge["id"], ["ctc_word_errors", "ctc_words", "ctc_character_errors", "ctc_characters"]
    ]
    sums = counts.groupby(side).sum()
    return pd.DataFrame(
        {
            "recordings": counts.groupby(side).size(),
            "word_error_rate": sums["ctc_word_errors"] / sums["ctc_words"],
            "character_error_rate": sums["ctc_character_errors"] / sums["ctc_characters"],
        }
    )
