"""Tests of the publishers' CSV and TSV files."""

import pytest

from lightning_mia.corpora.formats.tables import read_column, read_rows
from lightning_mia.utilities.errors import InputError


def test_rows_by_column(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfid, who ,what\r\n1,"a, b",x,\r\n\r\n2, c\r\n')
    assert list(read_rows(path)) == [
        {"id": "1", "who": "a, b", "what": "x"},
        {"id": "2", "who": "c", "what": ""},
    ]


def test_quotes_may_be_characters(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('id\ttext\n1\t"open\n2\t"both"\n')
    assert [row["text"] for row in read_rows(path, delimiter="\t", quoted=False)] == ['"open', '"both"']


def test_column_by_key(tmp_path):
    path = tmp_path / "a.csv"
    assert read_column(path, "id", "sex") == {}
    path.write_text("id,sex\na,f\nb,m\n")
    assert read_column(path, "id", "sex") == {"a": "f", "b": "m"}
    assert read_column(path, "id", "age") == {"a": "", "b": ""}


def test_empty_and_unreadable(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("")
    assert list(read_rows(path)) == []
    with pytest.raises(InputError, match=r"a\.csv: cannot be read .*utf-8.*; restore it"):
        path.write_bytes(b"id\n\xff\n")
        list(read_rows(path))
    with pytest.raises(InputError, match=r"b\.csv: cannot be read \(No such file or directory\)"):
        list(read_rows(tmp_path / "b.csv"))


def test_rows_with_more_fields_than_columns_are_refused_by_line(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("id\ttext\tgender\n1\tyes\tf\n2\tno\tnever\tm\n")
    with pytest.raises(InputError, match=r"a\.tsv: line 3 has 4 fields for 3 columns, as with a delimiter"):
        list(read_rows(path, delimiter="\t", quoted=False))
