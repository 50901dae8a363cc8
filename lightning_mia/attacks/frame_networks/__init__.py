"""Networks on hidden states: attention pooling, fitted on auxiliary recordings."""
