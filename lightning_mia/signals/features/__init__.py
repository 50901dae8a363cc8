"""Features computed from hidden states."""
