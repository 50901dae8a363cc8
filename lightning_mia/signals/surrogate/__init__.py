"""Parts of the surrogate head: hidden spans, fillings, targets, linear heads."""
