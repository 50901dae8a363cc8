"""Environment, errors, files and stages: what every other folder may import."""
