"""The corpus: every file is the one described, every case can be fitted, NIST's truth is exact."""

import csv
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pp_compare.data import corpus, nist
from pp_compare.data.corpus import Case, all_cases, case, load_dataset, provenance
from pp_compare.data.glmm_corpus import glmm_cases
from pp_compare.data.nist import nist_truth, one_way
from pp_compare.errors import DataError, InputError
from pp_compare.model.design import build_design
from pp_compare.resources import resource

FOLDER = resource("fixtures", "data")
NAMES = sorted(str(p.relative_to(FOLDER).with_suffix("")) for p in FOLDER.rglob("*.json"))
NIST = [name for name in NAMES if name.startswith("nist/")]
TABLES = [name for name in NAMES if name not in NIST]
CASES = pytest.mark.parametrize("each", all_cases(), ids=lambda each: each.name)


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_is_the_one_described(name: str):
    about, dataset = provenance(name), load_dataset(name)
    assert len(dataset.frame) == about["rows"]
    assert list(dataset.frame.columns) == [column["name"] for column in about["columns"]]
    assert about["source"] in dataset.provenance
    assert about["made"] in dataset.provenance
    assert about["licence"]
    assert not dataset.frame.isna().any(axis=None)


def test_every_data_file_has_its_provenance_and_a_case():
    files = {p for p in FOLDER.rglob("*") if p.suffix in {".csv", ".dat"}}
    assert {str(p.relative_to(FOLDER).with_suffix("")) for p in files} == set(NAMES)
    linear = {each.read.args[0] for each in all_cases()}
    assert linear | {each.data for each in glmm_cases()} == set(NAMES)


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the data folder that a test may damage."""
    copy = tmp_path / "data"
    shutil.copytree(FOLDER, copy)
    monkeypatch.setattr(corpus, "_folder", lambda: copy)
    load_dataset.cache_clear()
    yield copy
    load_dataset.cache_clear()


def test_a_changed_file_is_refused(changed: Path):
    file = changed / "Rail.csv"
    file.write_text(file.read_text().replace("55", "56", 1))
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(DataError, match=rf"Rail.csv is not the file .* sha256 is {found}, not "):
        load_dataset("Rail")


def test_an_unknown_data_set_is_named():
    with pytest.raises(DataError, match="no data set 'Rails' in "):
        load_dataset("Rails")


@pytest.mark.parametrize("name", TABLES)
def test_doubles_are_those_of_the_file(name: str):
    """Each number equals the double nearest to its decimals, by Python's own correct rounding."""
    frame = load_dataset(name).frame
    with (FOLDER / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for column in provenance(name)["columns"]:
        text, values = [row[column["name"]] for row in rows], frame[column["name"]].tolist()
        assert values == (text if column["kind"] == "factor" else [float(t) for t in text])


@pytest.mark.parametrize("name", TABLES)
def test_levels_keep_their_recorded_order(name: str):
    frame = load_dataset(name).frame
    for column in provenance(name)["columns"]:
        if column["kind"] == "factor":
            assert list(frame[column["name"]].cat.categories) == column["levels"]
            assert not frame[column["name"]].cat.ordered


def test_the_order_of_levels_is_r_s_and_not_the_alphabet_s():
    levels = list(load_dataset("Meat").frame["Block"].cat.categories)
    assert levels == ["II", "V", "I", "III", "IV"]


@CASES
def test_every_case_can_be_fitted(each: Case):
    for method in each.methods:
        design = build_design(each.dataset, each.spec(method))
        assert design.rows_dropped == 0
        assert design.n_obs == len(each.dataset.frame)
        assert design.n_obs > len(design.columns)


@CASES
def test_every_case_says_why_and_how_it_is_found(each: Case):
    assert each.why.endswith(".")
    assert each.tags
    assert set(each.methods) <= {"REML", "ML"}
    assert each.methods
    design = build_design(each.dataset, each.spec("REML"))
    assert ("large" in each.tags) == (design.n_obs > 5_000)
    several = len(design.spec.groups) > 1
    assert bool({"nested", "crossed"} & each.tags) == several
    slopes = any(term.terms for term in design.spec.random)
    assert ("slopes" in each.tags) == slopes


def test_names_are_unique():
    assert len({each.name for each in all_cases()}) == len(all_cases())


def test_case_by_name():
    assert case("Rail").dataset.name == "Rail"
    with pytest.raises(InputError, match="no case 'rail'; the cases are: seed_case1, "):
        case("rail")


def test_listing_the_cases_reads_no_data():
    load_dataset.cache_clear()
    all_cases.cache_clear()
    assert len(all_cases()) > 50
    assert load_dataset.cache_info().misses == 0
    assert case("Rail").dataset.name == "Rail"
    assert load_dataset.cache_info().misses == 1


def deviance(y: list[list[float]], rho: float, df_less: int) -> float:
    """ML or REML deviance of an intercept-only model, written out (lme4's, with constants)."""
    sizes = np.array([len(group) for group in y])
    means = np.array([np.mean(group) for group in y])
    weights = sizes / (1 + sizes * rho)
    beta = weights @ means / weights.sum()
    within = sum(np.sum((np.array(group) - np.mean(group)) ** 2) for group in y)
    q = within + weights @ (means - beta) ** 2
    df = sizes.sum() - df_less
    value = df * (1 + np.log(2 * np.pi * q / df)) + np.log1p(sizes * rho).sum()
    return value + df_less * np.log(weights.sum())


def groups_of(name: str) -> list[list[float]]:
    frame = load_dataset(name).frame
    return [group["y"].tolist() for _, group in frame.groupby("cluster")]


@pytest.mark.parametrize(
    ("name", "df_less", "values", "rho"),
    [
        ("two_optima_ml", 0, (37.1816123443, 37.3156770264), 1.41298592176),
        ("two_optima_reml", 1, (78.35515, 78.53455), 0.926830),
    ],
)
def test_two_optima(name: str, df_less: int, values: tuple[float, float], rho: float):
    y = groups_of(name)
    low, other = deviance(y, 0.0, df_less), deviance(y, rho, df_less)
    # Texts differ in a constant, log|X'X| among others; the difference of two optima has none.
    assert other - low == pytest.approx(values[1] - values[0], abs=1e-5)
    assert low < deviance(y, 1e-3, df_less)
    assert other < min(deviance(y, rho * (1 + h), df_less) for h in (-0.01, 0.01))


def test_boundary_cases_are_on_the_boundary():
    equal = [np.mean(group) for group in groups_of("equal_means")]
    assert equal == [0, 0, 0]
    treatments, values = zip(
        *[(j, Fraction(y)) for j, g in enumerate(groups_of("stationary_at_zero")) for y in g],
        strict=True,
    )
    truth = one_way(treatments, list(values), "REML")
    assert truth.ms_between == truth.ms_within == 2
    assert truth.tau2 == 0


@pytest.mark.parametrize("name", NIST)
def test_nist_files_are_read_as_nist_lays_them_out(name: str):
    about = provenance(name)
    file = nist.read(FOLDER / f"{name}.dat")
    text = (FOLDER / f"{name}.dat").read_text()
    assert f"{about['rows']} Observations" in " ".join(text.split())
    assert len(file.decimals) == about["rows"]
    for treatment, y in (
        (file.treatments[0], file.decimals[0]),
        (file.treatments[-1], file.decimals[-1]),
    ):
        assert f"{treatment} {y}" in " ".join(text.split())


@pytest.mark.parametrize("name", NIST)
def test_exact_analysis_of_variance_is_nist_s_to_every_printed_digit(name: str):
    """NIST prints 15 digits of multiple-precision results: half a unit in the last."""
    certified = nist.read(FOLDER / f"{name}.dat").certified
    truth = nist_truth(Path(name).name)
    exact = {
        "ss_between": truth.ss_between,
        "ms_between": truth.ms_between,
        "f": truth.ms_between / truth.ms_within,
        "ss_within": truth.ss_within,
        "ms_within": truth.ms_within,
        "r_squared": truth.ss_between / (truth.ss_between + truth.ss_within),
    }
    for key, value in exact.items():
        assert abs(value - Fraction(certified[key])) <= half_unit(certified[key]), key
    sd, unit = Fraction(certified["residual_sd"]), half_unit(certified["residual_sd"])
    assert (sd - unit) ** 2 <= truth.ms_within <= (sd + unit) ** 2


def half_unit(printed: str) -> Fraction:
    """Half a unit in the last of the 15 digits."""
    return Fraction(10) ** int(printed.partition("E")[2]) * Fraction(1, 10**14) / 2


def test_half_unit_tells_the_last_digit_apart():
    assert half_unit("1.68000000000000E+02") * 2 == Fraction(1, 10**12)


@pytest.mark.parametrize("name", NIST)
@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("of", ["decimals", "doubles"])
def test_nist_truth_is_the_minimum(name: str, method: str, of: str):
    """Moving either variance by a ten-thousandth makes the balanced deviance worse."""
    truth = nist_truth(Path(name).name, of, method)
    J, n = truth.levels, truth.replicates
    k = J - 1 if method == "REML" else J

    def criterion(sigma2: float, tau2: float) -> float:
        lam = sigma2 + n * tau2
        between, within = float(truth.ss_between) / lam, float(truth.ss_within) / sigma2
        return J * (n - 1) * np.log(sigma2) + k * np.log(lam) + within + between

    sigma2, tau2 = float(truth.sigma2), float(truth.tau2)
    best = criterion(sigma2, tau2)
    for h in (1 - 1e-3, 1 + 1e-3):
        assert criterion(sigma2 * h, tau2) > best
    for moved in (tau2 * (1 - 1e-3), tau2 * (1 + 1e-3)) if tau2 else (sigma2 * 1e-3,):
        assert criterion(sigma2, moved) > best
    assert truth.beta_var == (truth.tau2 + truth.sigma2 / n) / J


def test_ml_of_the_silicon_wafers_is_on_the_boundary():
    assert nist_truth("SiRstv", method="ML").tau2 == 0
    assert nist_truth("SiRstv", method="REML").tau2 > 0


def test_truth_of_the_decimals_and_of_the_doubles_part_where_digits_are_lost():
    def gap(name: str) -> float:
        of_decimals, of_doubles = nist_truth(name), nist_truth(name, "doubles")
        return float(abs(of_doubles.sigma2 / of_decimals.sigma2 - 1))

    # 13 leading digits leave a double about three of the rest, seven leave nine.
    assert 1e-5 < gap("SmLs07") < 1e-3
    assert 0 < gap("SmLs04") < 1e-9
    assert nist_truth("SmLs07").sigma2 == Fraction(1, 100)


def test_one_way_by_hand():
    """{0, 2}, {4, 6}: SSB = 16, SSW = 4, so sigma2 = 2 and tau2 = (16 - 2) / 2 = 7."""
    truth = one_way((1, 1, 2, 2), [Fraction(v) for v in (0, 2, 4, 6)], "REML")
    assert (truth.ss_between, truth.ss_within) == (16, 4)
    assert (truth.beta, truth.sigma2, truth.tau2) == (3, 2, 7)
    assert truth.beta_var == 4


def test_an_unbalanced_layout_has_no_exact_truth():
    with pytest.raises(DataError, match="the layout is not balanced"):
        one_way((1, 1, 1, 2), [Fraction(v) for v in (0, 2, 4, 6)], "REML")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Certified R-Squared", "Certified r", "no table of certified values"),
        ("         196.3052", "", "needs rows of a treatment and a response"),
    ],
)
def test_a_damaged_nist_file_is_refused(tmp_path: Path, old: str, new: str, message: str):
    text = (FOLDER / "nist" / "SiRstv.dat").read_text()
    assert old in text
    (tmp_path / "SiRstv.dat").write_text(text.replace(old, new))
    with pytest.raises(DataError, match=f"SiRstv.dat: {message}"):
        nist.read(tmp_path / "SiRstv.dat")


@pytest.mark.needs_r
def test_export_from_r_gives_these_files_again(tmp_path: Path):
    """Same doubles and same levels from the installed packages, whatever their version."""
    script = resource("r", "export_datasets.R")
    subprocess.run(["Rscript", str(script), str(tmp_path)], check=True, capture_output=True)
    exported = sorted(tmp_path.glob("*.csv"))
    # toenail and respiratory come from packages that are not installed everywhere.
    names = {file.stem for file in exported} | {"toenail", "respiratory"}
    assert len(names) == 36
    for file in exported:
        assert file.read_bytes() == (FOLDER / file.name).read_bytes(), file.name
        new, old = (
            json.loads((d / file.name).with_suffix(".json").read_text()) for d in (tmp_path, FOLDER)
        )
        assert {**new, "made": None} == {**old, "made": None}
