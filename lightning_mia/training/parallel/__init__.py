"""Many models: trained and asked one after the other, or several at a time."""
