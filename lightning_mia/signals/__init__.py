"""From a model's answers to membership signals, stored per utterance."""
