"""Where decoded audio, synthetic voices and other rebuildable files are kept between runs."""

import os
from pathlib import Path


def cache_root() -> Path:
    """Return the folder of all that can be made again: `$LIGHTNING_MIA_CACHE` or `~/.cache/lightning_mia`.

    The folder is named, not made; whoever writes there makes it.
    """
    chosen = os.environ.get("LIGHTNING_MIA_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "lightning_mia"
