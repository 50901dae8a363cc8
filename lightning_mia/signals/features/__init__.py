"""Statistics of hidden states: cosines, frame geometry, references, transcription errors."""
