"""A drawn split with training lists, for models that are trained elsewhere."""
