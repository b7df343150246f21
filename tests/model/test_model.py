from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from pp_compare.data.types import ReadAs, numbers_or_text
from pp_compare.errors import DataError
from pp_compare.model import Dataset, Fit, Quantity


def test_every_double_of_the_exact_csv_reads_back_to_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**63, size=2000, dtype=np.int64).view(float)
    values = np.concatenate([bits[np.isfinite(bits)], [0.1, 1e23, 5e-324, -0.0, 1.7e308]])
    text = Dataset("x", pd.DataFrame({"y": values})).exact_csv()
    again = numbers_or_text(pd.read_csv(io.StringIO(text), dtype=str)["y"].tolist())
    assert (again.to_numpy().view(np.int64) == values.view(np.int64)).all()


def test_the_exact_csv_is_that_of_pandas_with_the_shortest_digits() -> None:
    frame = pd.DataFrame(
        {
            "y": [1.0, np.nan, 0.1 + 0.2, -0.0, np.inf],
            "k": [1, 2, 3, 4, 5],
            'a "name", quoted': ["x,y", None, 'say "no"', "1.5", ""],
            "c": pd.Categorical(["u", "v", None, "u", "v"]),
        }
    )
    wanted = frame.to_csv(
        index=False, float_format=lambda x: repr(float(x)), na_rep="NA", lineterminator="\n"
    )
    assert Dataset("x", frame).exact_csv() == wanted


CELLS = ["1", "-2", "+3", "1.", ".5", "1e3", "001", "12345678901234567", "NA", "", "a", " 1", "0"]
CELLS += ["123456789012345", "99999999999999", "1_1", "nan", "-0", "00", "1e400", "0.10", "T"]


@pytest.mark.parametrize("seed", range(40))
def test_a_column_of_plain_numbers_is_read_as_any_other(seed: int) -> None:
    """The short way and the general one, which a word for a missing value leads to."""
    rng = np.random.default_rng(seed)
    pool = rng.choice(CELLS[: 6 if seed % 2 else len(CELLS)], rng.integers(1, 4))
    cells = [str(cell) for cell in rng.choice(pool, rng.integers(1, 6))]
    general = ReadAs(missing=("a word that no cell holds",))
    short, long = (_read(cells, told) for told in (ReadAs(), general))
    if isinstance(short, str) or isinstance(long, str):
        assert isinstance(short, str)
        assert short == long
    else:
        pd.testing.assert_series_equal(short, long, check_exact=True)


def _read(cells: list[str], told: ReadAs) -> pd.Series | str:
    try:
        return numbers_or_text(cells, "x", told)
    except DataError as error:
        return str(error)


def test_the_checksum_is_of_the_data_and_sees_the_last_bit() -> None:
    frame = pd.DataFrame({"y": [1.0, 2.0], "g": ["a", "b"]})
    other = frame.assign(y=[1.0, np.nextafter(2.0, 3.0)])
    assert Dataset("x", frame).sha256() == Dataset("other name", frame.copy()).sha256()
    assert Dataset("x", frame).sha256() != Dataset("x", other).sha256()


def test_a_column_is_whole_numbers_doubles_or_text() -> None:
    assert numbers_or_text(["1", "-2", "+3"]).tolist() == [1, -2, 3]
    assert numbers_or_text(["1", "2.5"]).tolist() == [1.0, 2.5]
    assert numbers_or_text(["1", "x"]).tolist() == ["1", "x"]
    assert np.isnan(numbers_or_text(["1", None])[1])
    # From 2^53 on whole numbers are no doubles: they stay what was written.
    assert numbers_or_text(["9007199254740993"]).tolist() == ["9007199254740993"]


def test_a_quantity_lists_each_number_once() -> None:
    cov = Quantity("beta_cov", np.array([[1.0, 2.0], [2.0, 3.0]]), ("a", "b"), ("a", "b"))
    assert list(cov.entries()) == [("a, a", 1.0), ("b, a", 2.0), ("b, b", 3.0)]
    blup = Quantity("blup[g]", np.array([[1.0], [2.0]]), ("1", "2"), ("Intercept",))
    assert list(blup.entries()) == [("1", 1.0), ("2", 2.0)]
    assert list(Quantity("sigma", np.array(2.0)).entries()) == [("", 2.0)]


def test_a_quantity_refuses_labels_that_do_not_fit_and_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match=r"beta: values of shape \(2,\), labels of \(1,\)"):
        Quantity("beta", np.zeros(2), ("a",))
    values = np.zeros(1)
    quantity = Quantity("beta", values, ("a",))
    values[0] = 1.0
    assert quantity.values[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        quantity.values[0] = 2.0


def test_a_fit_gives_its_values_by_name() -> None:
    fit = Fit("e", "ok", {"sigma": Quantity("sigma", np.array(2.0))})
    assert fit["sigma"] == 2.0
    with pytest.raises(KeyError):
        fit["beta"]
