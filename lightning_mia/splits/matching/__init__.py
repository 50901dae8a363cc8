"""Match members and non-members by duration and other statistics."""
