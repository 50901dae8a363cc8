"""Training one model on recordings that we control, resumably and reproducibly."""
