"""Parts of the surrogate head: spans, fillings, targets, linear heads."""
