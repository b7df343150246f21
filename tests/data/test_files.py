"""Files as people have them: types and design as R's, or refused with what to do."""

from __future__ import annotations

import csv
import gzip
import io
import pickle
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pp_compare.data import delimited
from pp_compare.data.doubts import questions, remarks, types_line
from pp_compare.data.files import read_dataset
from pp_compare.data.types import ReadAs
from pp_compare.errors import DataError, InputError
from pp_compare.model import Dataset
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula

FILES = Path(__file__).parents[1] / "cases" / "files"

UNTOLD = ReadAs()
PLAIN = "transform(read.csv(f), y = as.numeric(gsub(',', '', y)))"
WITHOUT_999 = "within(read.csv(f), x[x == -999] <- NA)"
WITHOUT_POINTS = "read.csv(f, na.strings = c('NA', '.'))"

# What is told, the formula, and how R is asked for the same table.
AS_R = {
    "underscore_ids.csv": ("y ~ x + (1|plot)", ReadAs(), "read.csv(f)"),
    "underscore_factor.csv": ("y ~ arm + (1|g)", ReadAs(), "read.csv(f)"),
    "none_level.csv": ("y ~ dose + (1|g)", ReadAs(), "read.csv(f)"),
    "long_ids.csv": ("y ~ x + (1|user)", ReadAs(), "read.csv(f, numerals = 'no.loss')"),
    "group_0.csv": ("y ~ group_0 + (1|g)", ReadAs(), "read.csv(f)"),
    "semicolon_comma.csv": ("y ~ x + (1|g)", ReadAs(), "read.csv2(f)"),
    "tabs.tsv": ("y ~ x + (1|g)", ReadAs(), "read.delim(f)"),
    "latin1.csv": ("y ~ x + (1|größe)", ReadAs(), "read.csv(f, fileEncoding = 'latin1')"),
    "utf16.csv": ("y ~ x + (1|g)", ReadAs(), "read.csv(f, fileEncoding = 'UTF-16')"),
    "thousands.csv": ("y ~ x + (1|g)", ReadAs(), PLAIN),
    "table.parquet": ("y ~ x + (1|g)", ReadAs(), "read.csv(exact)"),
    "minus999.csv": ("y ~ x + (1|g)", ReadAs(missing=("-999",)), WITHOUT_999),
    "dot_na.csv": ("y ~ x + (1|g)", ReadAs(missing=(".",)), WITHOUT_POINTS),
    "trailing_commas.csv": ("y ~ x + (1|g)", ReadAs(), "read.csv(f)"),
    "interaction_only.csv": ("y ~ arm + sex + (1|g)", ReadAs(), "read.csv(f)"),
    "write_table.csv": ("y ~ x + (1|g)", ReadAs(), "read.csv(f)"),
}  # fmt: skip

R = """
args <- commandArgs(TRUE)
f <- args[1]; exact <- args[2]
d <- @READ@
names(d) <- enc2utf8(names(d))
d <- d[complete.cases(d[, @COLUMNS@]), ]
m <- model.matrix(@FIXED@, d)
cat(ncol(m), length(unique(d[[@GROUP@]])), sep = ',', fill = TRUE)
write.table(cbind(format(d$y, digits = 17), format(m, digits = 17)), sep = ',', quote = FALSE,
            row.names = FALSE, col.names = FALSE)
"""


def in_r(path: Path, exact: Path, formula: str, read: str) -> tuple[list[int], np.ndarray]:
    spec = parse_formula(formula)
    (group,) = spec.random[0].group
    columns = [*(name for term in spec.fixed for name in term), spec.response, group]
    named = "c(" + ", ".join(f"'{c}'" for c in columns) + ")"
    code = R.replace("@READ@", read).replace("@COLUMNS@", named).replace("@GROUP@", f"'{group}'")
    code = code.replace("@FIXED@", "~ " + " + ".join(":".join(term) for term in spec.fixed))
    done = subprocess.run(
        ["Rscript", "--vanilla", "--encoding=UTF-8", "-", str(path), str(exact)],
        input=code, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, *rows = csv.reader(io.StringIO(done.stdout))
    return [int(x) for x in first], np.array([[float(x) for x in row] for row in rows])


@pytest.mark.needs_r
@pytest.mark.parametrize("name", AS_R)
def test_types_and_design_are_those_of_r(name: str, tmp_path: Path) -> None:
    formula, told, read = AS_R[name]
    dataset = read_dataset(FILES / name, told)
    assert questions(dataset, parse_formula(formula), told) == []
    design = build_design(dataset, parse_formula(formula), "drop")
    (tmp_path / "exact.csv").write_text(dataset.exact_csv(), encoding="utf-8")
    (columns, groups), numbers = in_r(FILES / name, tmp_path / "exact.csv", formula, read)
    assert design.X.shape == (len(numbers), columns)
    assert len(design.blocks[0].levels) == groups
    # Seventeen digits read back to the same double, so nothing but equality will do.
    assert np.array_equal(numbers, np.column_stack([design.y, design.X]))


@pytest.mark.parametrize("name", AS_R)
def test_the_exact_csv_reads_back_the_same(name: str, tmp_path: Path) -> None:
    dataset = read_dataset(FILES / name, AS_R[name][1])
    (tmp_path / "again.csv").write_text(dataset.exact_csv(), encoding="utf-8")
    again = read_dataset(tmp_path / "again.csv")
    pd.testing.assert_frame_equal(again.frame, dataset.frame, check_exact=True)
    assert again.sha256() == dataset.sha256()


def test_every_file_of_the_folder_is_looked_at() -> None:
    there = {path.name for path in FILES.iterdir()} - {"README.md", "header_trailing_space.csv"}
    assert there == set(AS_R)


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(tmp_path: Path, text: str | bytes, told: ReadAs = UNTOLD, name: str = "d.csv") -> Dataset:
    return read_dataset(written(tmp_path / name, text), told)


# Cells of a column, its type by R's read.csv, and what differs from it here on purpose.
COLUMNS: Mapping[str, tuple[list[str], str]] = {
    "whole": (["1", "-2", " +3 "], "int64"),
    "decimals": (["1.", ".5", "1e3"], "float64"),
    "na": (["1", "NA", ""], "float64"),
    "underscore": (["1_1", "11", "2"], "text"),
    "nan is a word": (["1", "nan", "2"], "text"),
    "inf is a word": (["1", "Inf", "2"], "text"),
    "None is a word": (["None", "1", "2"], "text"),
    "octal": (["0o7", "1", "2"], "text"),
    "hexadecimal": (["0x1F", "1", "2"], "text"),
    "other digits": (["\u0661", "1", "2"], "text"),
    "padded": (["001", "002", "010"], "text"),
    "zero": (["0", "-0", "0.5"], "float64"),
    "long": (["12345678901234567", "12345678901234568", "1"], "text"),
    "logical": (["T", "FALSE", ""], "category"),
    "python's logical": (["True", "False", "True"], "text"),
    "all missing": (["NA", "", "NA"], "float64"),
    "blanks stay": ([" a", "a", "a "], "text"),
}


@pytest.mark.parametrize("what", COLUMNS)
def test_a_column_is_what_a_strict_grammar_says(what: str, tmp_path: Path) -> None:
    cells, kind = COLUMNS[what]
    text = "y,x\n" + "".join(f"{k}.5,{cell}\n" for k, cell in enumerate(cells))
    column = read(tmp_path, text).frame["x"]
    if kind == "text":
        assert column.tolist() == cells
    else:
        assert str(column.dtype) == kind


TABLES = ["a,b\n1,2\n3,4\n", "a,b\n1,2\n3,4", "a, b\n ,\n,x\n", "a;b;c\n1;2;\n;;3\n", "a,b\n1,\n"]
IRREGULAR = ["a,b\n1,2\n\n3,4\n", 'a,b\n"1,5",2\n', "a,b\n1,2\n,\n", "a,b\r\n1,2\r\n", "a\nb,1,2\n"]


@pytest.mark.parametrize("text", [*TABLES, *IRREGULAR])
def test_a_regular_table_is_cut_as_any_other(text: str) -> None:
    delimiter = ";" if ";" in text else ","
    found = delimited._regular(text, delimiter)
    assert (found is not None) == (text in TABLES)
    if found is not None:
        general = delimited._any(text, delimiter, "a table")
        assert found._replace(header=[cell.strip() for cell in found.header]) == general


def test_an_empty_cell_is_a_text_among_texts_and_missing_among_numbers(tmp_path: Path) -> None:
    frame = read(tmp_path, "y,g,h\n1,a,\n,,NA\n3,b,c\n").frame
    assert frame["y"].isna().tolist() == [False, True, False]
    assert frame["g"].tolist() == ["a", "", "b"]
    assert frame["h"].isna().tolist() == [False, True, False]
    missing = read(tmp_path, "y,g\n1,a\n2,\n", ReadAs(missing=("",))).frame
    assert missing["g"].isna().tolist() == [False, True]


REFUSED = {
    "two names": ("y,x,x\n1,2,3\n", "two columns of 'd.csv' are called 'x'"),
    "blanks around a name": ("y,x,x \n1,2,3\n", "two columns of 'd.csv' are called 'x'"),
    "a short row": ("y,x,g\n1,2,a\n1,2\n", "row 2 of 'd.csv' has 2 cells, its header 3: '1, 2'"),
    "a long row": ("y,x,g\n1,2,a\n1,2,a,b\n", "row 2 of 'd.csv' has 4 cells, its header 3"),
    "an open quote": ('y,g\n1,"a\n2,b\n', "row 1 cannot be read: unexpected end of data"),
    "commas after rows": ("y,x,g\n1,2,a,\n1,3,b,\n", "ends with a delimiter that its header has"),
    "no header": ("1,2\n3,4\n", "the first line of 'd.csv' holds numbers, '1, 2', and no names"),
    "one column": ("yxg\n1\n", "'d.csv' has one column, 'yxg': no comma, semicolon"),
    "empty": ("", "'d.csv' is empty"),
    "header alone": ("y,x\n", "has a header but no rows"),
    "zero bytes": (b"y,x\n1,\x00\n", "is not text: it holds zero bytes"),
    "too large a number": ("y,x\n1,1e309\n", "row 1 of column 'x' holds '1e309', beyond the larg"),
    "a pickle": (pickle.dumps([1]), "is a pickle, which can run code when it is loaded"),
    "half a gzip": (gzip.compress(b"y,x\n1,2\n")[:-9], "is a damaged gzip file"),
    "half a Parquet": (b"PAR1" + b"x" * 50, "cannot be read as .parquet"),
    "half an R file": (b"X\n\x00\x00\x00\x03\x00", "cannot be read as .rds"),
    "an old sheet": (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an old Excel file; save it as"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_table_is_refused_with_its_row(what: str, tmp_path: Path) -> None:
    content, words = REFUSED[what]
    with pytest.raises(DataError) as refused:
        read(tmp_path, content)
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_an_archive_is_refused_and_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("d.csv", "y,x\n1,2\n")
    with pytest.raises(DataError, match="is an archive; unpack it"):
        read_dataset(tmp_path / "d.zip")
    bomb = gzip.compress(b"y,x\n" + b"1,2\n" * (70 * 2**20), 1)
    assert len(bomb) < 3 * 2**20
    with pytest.raises(DataError, match="holds more than 256 MiB"):
        read(tmp_path, bomb, name="d.csv.gz")


MARKS = {
    "semicolons, decimal commas": ("y;x\n0,5;1\n1,25;2\n", [0.5, 1.25]),
    "tabs": ("y\tx\n0.5\t1\n1.25\t2\n", [0.5, 1.25]),
    "tabs, decimal commas": ("y\tx\n0,5\t1\n1,25\t2\n", [0.5, 1.25]),
    "bars": ("y|x\n0.5|1\n1.25|2\n", [0.5, 1.25]),
    "blanks": ("y  x\n0.5 1\n1.25   2\n", [0.5, 1.25]),
    "commas between thousands": ('y,x\n"1,000.5",1\n12,2\n', [1000.5, 12.0]),
    "decimal commas, points between thousands": ("y;x\n1.000,5;1\n12,5;2\n", [1000.5, 12.5]),
    "UTF-8 with a byte order mark": ("\ufeffy,x\n0.5,1\n1.25,2\n", [0.5, 1.25]),
    "row names left out": ('y,x\n"1",0.5,1\n"2",1.25,2\n', [0.5, 1.25]),
}  # fmt: skip


@pytest.mark.parametrize("said", MARKS)
def test_delimiter_and_marks_are_told_by_inspection_and_said(said: str, tmp_path: Path) -> None:
    text, values = MARKS[said]
    dataset = read(tmp_path, text)
    assert dataset.frame["y"].tolist() == values
    assert set(said.split(", ")) <= set(dataset.provenance.split(", "))


def test_a_comma_before_three_digits_alone_is_not_guessed(tmp_path: Path) -> None:
    assert read(tmp_path, 'y,x\n"1,234",1\n"2,345",2\n').frame["y"].tolist() == ["1,234", "2,345"]
    assert read(tmp_path, "y;x\n1,234;1\n2,345;2\n").frame["y"].tolist() == [1.234, 2.345]


def written_as(kind: str, frame: pd.DataFrame, path: Path) -> None:
    writers: dict[str, Callable[[], object]] = {
        "parquet": lambda: frame.to_parquet(path),
        "feather": lambda: frame.to_feather(path),
        "xlsx": lambda: frame.to_excel(path, index=False),
        "csv.gz": lambda: frame.to_csv(path, index=False),
        "dta": lambda: pytest.importorskip("pyreadstat").write_dta(frame, str(path)),
        "sav": lambda: pytest.importorskip("pyreadstat").write_sav(frame, str(path)),
    }
    writers[kind]()


@pytest.mark.parametrize("kind", ["parquet", "feather", "xlsx", "csv.gz", "dta", "sav"])
def test_tables_that_are_no_text_keep_types_and_bits(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("openpyxl" if kind == "xlsx" else "pandas")
    frame = pd.DataFrame({"y": [0.1, 1e300, 3.0], "g": ["1_1", "11", "None"], "n": [1.5, 2, 3]})
    written_as(kind, frame, tmp_path / f"d.{kind}")
    found = read_dataset(tmp_path / f"d.{kind}")
    pd.testing.assert_frame_equal(found.frame, frame, check_exact=True)
    assert found.name == "d"


@pytest.mark.needs_r
def test_a_data_frame_of_r_keeps_the_order_of_its_levels(tmp_path: Path) -> None:
    pytest.importorskip("rdata")
    assert shutil.which("Rscript")
    code = (
        "d <- data.frame(y = c(0.1, 2, 3), f = factor(c('b', 'a', 'b'), levels = c('b', 'a')),"
        f" s = c('u', NA, 'v'), l = c(TRUE, FALSE, NA)); saveRDS(d, '{tmp_path}/d.rds')"
    )
    subprocess.run(["Rscript", "--vanilla", "-e", code], check=True)
    frame = read_dataset(tmp_path / "d.rds").frame
    assert frame["y"].tolist() == [0.1, 2.0, 3.0]
    assert list(frame["f"].cat.categories) == ["b", "a"]
    assert frame["s"].isna().tolist() == [False, True, False]
    assert frame["l"].iloc[:2].tolist() == ["TRUE", "FALSE"]


def rows(**columns: list[object]) -> Dataset:
    n = len(next(iter(columns.values())))
    base = {"y": np.arange(n) + 0.5, "g": [f"g{k % 4}" for k in range(n)]}
    return Dataset("d", pd.DataFrame({**base, **columns}))


QUESTIONS: Mapping[str, tuple[list[object], str, bool]] = {
    "a point": (["."] + [str(k % 3) for k in range(19)], "--na-value '.'", True),
    "a slip": (["1O"] + [str(k) for k in range(19)], "row 1 holds '1O' while 19 of 20", True),
    "a code": ([f"{k % 5:03}" for k in range(20)], "written like a code ('000')", True),
    "-999": ([-999.0] + [k / 7 for k in range(19)], "-999 looks like a missing value", True),
    "-999 among its like": ([-999.0, -1200.0] + [-50.0 * k for k in range(18)], "", False),
    "99 among its like": ([99.0] + [5.0 * k for k in range(19)], "", False),
    "levels with a number": (["0", "10", "control", "control"] * 5, "", False),
    "None is a dose": (["None", "Low", "High", "Low"] * 5, "", False),
}  # fmt: skip


@pytest.mark.parametrize("what", QUESTIONS)
def test_what_most_people_would_not_want_is_asked(what: str) -> None:
    cells, words, asked = QUESTIONS[what]
    spec = parse_formula("y ~ x + (1|g)")
    found = questions(rows(x=cells), spec)
    assert bool(found) == asked
    assert words in "".join(found)
    assert questions(rows(x=cells), spec, ReadAs({"x": "factor"})) == []
    assert questions(rows(z=cells), parse_formula("y ~ 1 + (1|g)")) == []


def test_a_factor_with_nearly_a_level_a_row_is_asked_about() -> None:
    days: list[object] = [f"2024-{1 + k // 28:02}-{1 + k % 28:02}" for k in range(200)]
    (found,) = questions(rows(x=days), parse_formula("y ~ x + (1|g)"))
    assert "200 levels in 200 rows" in found
    assert questions(rows(x=days), parse_formula("y ~ 1 + (1|x)")) == []


def test_the_line_of_types_and_the_remarks() -> None:
    few: list[object] = [k % 3 for k in range(20)]
    case: list[object] = ["Ann", "ann", "Bo, c", ""] * 5
    spec = parse_formula("y ~ x + s + (1|g)")
    dataset = rows(x=few, s=case)
    assert types_line(dataset, spec) == (
        "Read d. numbers: y, x; factor: s, 4 levels ('', Ann, 'Bo, c', ann); "
        "factor: g, 4 levels (g0, g1, g2, g3)."
    )
    said = " ".join(remarks(dataset, spec))
    assert "'x' holds 3 whole numbers (0, 1, 2)" in said
    assert "an empty cell is a level of 's'" in said
    assert "levels 'Ann' and 'ann' of 's' differ in blanks or case alone" in said
    assert remarks(rows(x=[0.0, 1.0] * 10), parse_formula("y ~ x + (1|g)")) == []


def test_what_is_told_counts(tmp_path: Path) -> None:
    text = "y,x,id\n1,2,001\n2,10,002\n-999,1,003\n"
    told = ReadAs({"x": "factor", "id": "number"}, ("-999.0",))
    frame = read(tmp_path, text, told).frame
    assert list(frame["x"].cat.categories) == ["1", "2", "10"]
    assert frame["id"].tolist() == [1, 2, 3]
    assert frame["y"].isna().tolist() == [False, False, True]
    with pytest.raises(InputError, match=r"no column 'z' in 'd\.csv'; its columns are: 'y, x, id'"):
        read(tmp_path, text, ReadAs({"z": "factor"}))
    with pytest.raises(DataError, match="row 1 of column 'x' holds 'a', not a number"):
        read(tmp_path, "y,x\n1,a\n", ReadAs({"x": "number"}))
    with pytest.raises(InputError, match="a factor or a number, not a 'date'"):
        ReadAs({"x": "date"})  # type: ignore[dict-item]


def test_standard_input_is_a_file_too(monkeypatch: pytest.MonkeyPatch) -> None:
    piped = io.TextIOWrapper(io.BytesIO(gzip.compress(b"y;g\n0,5;a\n1,5;b\n")))
    monkeypatch.setattr("sys.stdin", piped)
    dataset = read_dataset(Path("-"))
    assert dataset.frame["y"].tolist() == [0.5, 1.5]
    assert dataset.provenance == (
        "file standard input, unpacked by gzip, semicolons, decimal commas"
    )
    assert dataset.name == "stdin"


@pytest.mark.parametrize("name", ["group_0", "all_rows", "vc000"])
def test_a_column_may_be_called_as_an_engine_calls_its_own(name: str) -> None:
    from pp_compare.engines import make_engine

    rng = np.random.default_rng(5)
    frame = rows(x=list(rng.normal(size=24)), h=list("abc" * 8)).frame
    frame["y"] = rng.normal(size=24) + frame["x"]
    fits = []
    for called in ("x", name):
        dataset = Dataset("d", frame.rename(columns={"x": called}))
        design = build_design(dataset, parse_formula(f"y ~ {called} + (1|g) + (1|h)"))
        fits.append(make_engine("statsmodels").fit(design))
        assert fits[-1]["beta"].shape == (2,), called
    assert np.array_equal(fits[0]["beta"], fits[1]["beta"])
    assert np.array_equal(fits[0]["random_cov[g]"], fits[1]["random_cov[g]"])
