"""Who is IN and who is OUT, for the target and for every shadow model."""
