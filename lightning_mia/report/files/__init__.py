"""Files of a report: `results.json` and its schema, CSV tables of scores, units and speakers."""
