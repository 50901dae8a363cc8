"""Match members and non-members by duration and by recordings per speaker."""
