"""Random membership, choice of recordings, sizes."""
