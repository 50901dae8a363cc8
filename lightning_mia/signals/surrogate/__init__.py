"""Parts of surrogate heads: hidden spans, fillings, targets, heads."""
