"""Content shared by page, Markdown and TensorBoard."""
