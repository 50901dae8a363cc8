"""Report of a grid of audits: table, page, figures, TensorBoard."""
