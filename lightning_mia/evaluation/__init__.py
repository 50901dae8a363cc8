"""How well scores separate, how sure that is, and the verdict."""
