"""Files of a report: `results.json`, its schema, and the CSV tables."""
