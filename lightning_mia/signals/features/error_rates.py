"""How well members and others are transcribed."""

import pandas as pd

from lightning_mia.signals.table import Signals


def error_rates(signals: Signals, judged: pd.DataFrame) -> pd.DataFrame:
    """Word and character error rates of a fine-tuned model: all errors over all words or characters of the references.

    Args:
        signals: of a model that has a CTC score.
        judged: columns `id` and `member` (bool or 0 and 1), one row a recording.

    Returns:
        Index "members" and "others", as far as there are any; columns `recordings`, `word_error_rate` and
        `character_error_rate`.
    """
    side = judged["member"].astype(bool).map({True: "members", False: "others"}).to_numpy()
    counts = signals.scalars.loc[
        judged["id"], ["ctc_word_errors", "ctc_words", "ctc_character_errors", "ctc_characters"]
    ]
    sums = counts.groupby(side).sum()
    return pd.DataFrame(
        {
            "recordings": counts.groupby(side).size(),
            "word_error_rate": sums["ctc_word_errors"] / sums["ctc_words"],
            "character_error_rate": sums["ctc_character_errors"] / sums["ctc_characters"],
        }
    )
