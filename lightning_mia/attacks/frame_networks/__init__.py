"""Networks on hidden states, fitted on auxiliary recordings."""
