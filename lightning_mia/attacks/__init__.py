"""Membership attacks: from signals to scores, one attack a file."""
