"""Development commands, not installed with the package."""
