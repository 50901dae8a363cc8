"""Shadow models: training, probing, and attacks on each of them."""
