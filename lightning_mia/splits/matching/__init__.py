"""Match members and non-members by duration and speaker."""
