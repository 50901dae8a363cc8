"""File formats of published corpora: archives, tables, segments."""
