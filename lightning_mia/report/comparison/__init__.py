"""Compare finished runs: table, page and text."""
