"""An outcome table that cannot be used says which file and why; any other is read the same from every format."""

import numpy as np
import pytest

from routers.outcomes import TableError, from_rows, read

ROW = {"prompt": "What is 2 + 2?", "expert": "small", "score": 1.0}


def test_a_missing_table_is_named_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(TableError, match=r"mine\.parquet is missing: make one with `lyceum probe`"):
        read(tmp_path / "mine.parquet")


@pytest.mark.parametrize("column", ["prompt", "expert"])
def test_a_row_without_a_required_column_is_refused(column):
    with pytest.raises(TableError, match=f"no column '{column}' in some row"):
        from_rows([ROW, {**ROW, column: None}])


def test_a_table_without_any_score_is_refused():
    with pytest.raises(TableError, match="no column 'score' in any row"):
        from_rows([{**ROW, "score": None}])


def test_a_prompt_without_a_score_is_kept_as_one_that_nobody_was_asked():
    table = from_rows([ROW, {**ROW, "prompt": "Who are you?", "score": None}])
    assert (len(table), np.isnan(table.score[:, 0]).tolist()) == (2, [False, True])


@pytest.mark.parametrize("name", ["broken.parquet", "broken.jsonl"])
def test_a_damaged_table_is_one_line_with_its_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"{not a table")

    with pytest.raises(TableError, match=f"{name} is neither Parquet nor JSONL"):
        read(tmp_path / name)


def test_an_empty_table_is_refused():
    with pytest.raises(TableError):
        from_rows([])


def test_a_prompt_that_was_asked_twice_keeps_its_last_score():
    table = from_rows([ROW, {**ROW, "expert": "coder"}, {**ROW, "score": 0.0}])
    assert (len(table), table.experts) == (1, ("small", "coder"))
    assert table.score.tolist() == [[0.0, 1.0]]
