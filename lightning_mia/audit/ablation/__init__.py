"""Grids of audits over one or more factors: `lightning-mia ablate`."""
