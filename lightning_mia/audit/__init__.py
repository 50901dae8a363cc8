"""Audits: compose corpus, split, training, signals, attacks and report; command line."""
