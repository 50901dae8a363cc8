"""Published checkpoints of TERA and CPC in their original formats."""
