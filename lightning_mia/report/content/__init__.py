"""Content of the report shared by page, Markdown and TensorBoard: texts, tables, key numbers."""
