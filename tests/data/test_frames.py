"""A DataFrame's columns: one meaning for each type."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pp_compare.data.frames import dataset_of
from pp_compare.errors import DataError

NUMBERS = {
    "int": pd.Series([1, 2, 3]),
    "small int": pd.Series([1, 2, 3], dtype="int8"),
    "nullable int": pd.Series([1, 2, 3], dtype="Int64"),
    "Arrow's int": pd.Series([1, 2, 3], dtype=pd.ArrowDtype(pa.int32())),
    "objects": pd.Series([1, np.int64(2), 3], dtype=object),
}
FLOATS = {
    "float": pd.Series([1.5, np.nan, 3]),
    "nullable int with a gap": pd.Series([1, None, 3], dtype="Int64"),
    "nullable float": pd.Series([1.5, None, 3], dtype="Float64"),
    "Arrow's float": pd.Series([1.5, None, 3], dtype=pd.ArrowDtype(pa.float64())),
    "decimals": pd.Series([Decimal("1.5"), None, Decimal(3)]),
    "sparse": pd.Series([1.5, np.nan, 3], dtype="Sparse[float]"),
    "objects": pd.Series([1.5, pd.NA, 3], dtype=object),
}
LOGICALS = {
    "bool": pd.Series([True, False, True]),
    "nullable bool": pd.Series([True, False, None], dtype="boolean"),
    "Arrow's bool": pd.Series([True, False, None], dtype=pd.ArrowDtype(pa.bool_())),
    "objects": pd.Series([True, False, None], dtype=object),
}
TEXTS = {
    "str": (pd.Series(["12", "001", None]), ["12", "001"]),
    "Arrow's text": (pd.Series(["12", "a", None], dtype=pd.ArrowDtype(pa.string())), ["12", "a"]),
    "days": (pd.Series(pd.to_datetime(["2024-01-02", "2024-03-04"])), ["2024-01-02", "2024-03-04"]),
    "times": (pd.Series([dt.datetime(2024, 1, 2, 3, 4), None]), ["2024-01-02T03:04:00"]),
    "dates as objects": (pd.Series([dt.date(2024, 1, 2), None]), ["2024-01-02"]),
    "periods": (pd.Series(pd.period_range("2024-01", periods=2, freq="M")), ["2024-01", "2024-02"]),
    "mixed": (pd.Series([1, "a", 2.5], dtype=object), ["1", "a", "2.5"]),
}


def column(values: pd.Series) -> pd.Series:
    frame = pd.DataFrame({"x": values, "y": range(len(values))})
    before = frame.copy()
    found = dataset_of(frame).frame["x"]
    pd.testing.assert_frame_equal(frame, before)
    return found


@pytest.mark.parametrize("kind", NUMBERS)
def test_whole_numbers(kind: str) -> None:
    found = column(NUMBERS[kind])
    assert (str(found.dtype), found.tolist()) == ("int64", [1, 2, 3])


@pytest.mark.parametrize("kind", FLOATS)
def test_other_numbers_and_gaps(kind: str) -> None:
    found = column(FLOATS[kind])
    assert str(found.dtype) == "float64"
    assert found.isna().tolist() == [False, True, False]


@pytest.mark.parametrize("kind", LOGICALS)
def test_logicals_are_a_factor_as_in_r(kind: str) -> None:
    found = column(LOGICALS[kind])
    assert list(found.cat.categories) == ["FALSE", "TRUE"]
    assert found.iloc[:2].tolist() == ["TRUE", "FALSE"]


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_and_dates_are_names(kind: str) -> None:
    values, texts = TEXTS[kind]
    found = column(values)
    assert found.dropna().tolist() == texts
    assert not pd.api.types.is_numeric_dtype(found)


def test_categories_keep_their_order_and_become_texts() -> None:
    found = column(pd.Series(pd.Categorical([10, 2, 10], categories=[10, 2, 7], ordered=True)))
    assert list(found.cat.categories) == ["10", "2", "7"]
    assert found.cat.ordered


def test_whole_numbers_that_no_double_holds_are_names() -> None:
    found = column(pd.Series([2**53 + 1, 2**53 + 2, 5]))
    assert list(found.cat.categories) == ["5", "9007199254740993", "9007199254740994"]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns of data are called 'a'"),
        (pd.DataFrame({"a": [[1], [2]]}), "row 1 of column 'a' holds a list"),
        (pd.DataFrame({"a": [1j]}), "row 1 of column 'a' holds a complex"),
        (pd.DataFrame({"a": []}), "data has no rows"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "join them"),
    ],
)
def test_what_has_no_meaning_is_refused(frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(DataError, match=words):
        dataset_of(frame)
