"""From audio files to batches: decode once, cache, batch by length."""
