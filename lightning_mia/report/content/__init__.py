"""Content of the report: sections, tables and sentences, without markup."""
