"""Commands for those who work on the suite; nothing here is installed."""
