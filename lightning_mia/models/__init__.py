"""Self-supervised speech models, one family a file, all with the interface of `base`."""
