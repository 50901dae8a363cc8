"""Environment, errors, files and stages, for all other packages."""
