"""The generalised models: proved by a verifier of their own, and by mpmath's own quadrature."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import flint
import jsonschema
import mpmath as mp
import pytest

from pp_compare.reference.glmm_items import all_glmm_items
from pp_compare.reference.make import checksums, glmm_files
from tests.reference.the_set import (
    ITEM,
    ROOT,
    VALUES,
    change_digit,
    copied,
    falsify,
    glmm_item,
    glmm_items,
    imports_of_a_short,
    verify,
    verify_glmm,
    write_checksums,
)

SMALL = (
    "cbpp.exact",
    "cbpp.laplace",
    "glmm_even_counts.exact",
    "glmm_boundary.laplace",
    "glmm_clusters_of_zeros.exact",
    "glmm_exposures.laplace",
    "glmm_slopes_uncorrelated.laplace",
)
"""Of either criterion and family, on the boundary, with an offset, with two terms."""
MADE = ("glmm_four_herds.exact", "glmm_six_counts.laplace", "glmm_even_counts.exact")
FEW = ("glmm_four_herds.laplace",)
INDEPENDENT = (
    *FEW,
    "glmm_six_counts.exact",
    "glmm_four_herds.exact",
    "glmm_six_counts.laplace",
    "glmm_matched_pairs.exact",
    "glmm_matched_pairs.laplace",
    "glmm_clusters_of_zeros.exact",
    "glmm_clusters_of_zeros.laplace",
    "glmm_even_counts.exact",
    "glmm_exposures.exact",
    "glmm_exposures.laplace",
    "cbpp.laplace",
)
HARD = (
    "cbpp.exact",
    "toenail.exact",
    "respiratory.exact",
    "glmm_wide.exact",
    "glmm_thousands.exact",
)
KNOWN = {
    "cbpp.exact": "-91.98336903731052399966876844",
    "respiratory.exact": "-233.9731130274632281372619582",
    "toenail_interaction.exact": "-621.2014665499206211221773840",
    "cbpp.laplace": "-92.02628186",
    "toenail.laplace": "-626.162768",
}
"""Log-likelihoods that other programs gave: adaptive integration in balls, and glmmTMB."""


@cache
def about(name: str) -> dict:
    return json.loads((glmm_item(name) / ITEM).read_text(encoding="utf-8"))


def test_it_can_be_read_in_an_evening_and_imports_flint_alone() -> None:
    assert imports_of_a_short("verify_glmm.py") == {"flint", "verify"}


@pytest.mark.parametrize("name", SMALL)
def test_an_item_is_proved(name: str) -> None:
    verify_glmm.prove_glmm(glmm_item(name))


@pytest.mark.slow
def test_all_items_are_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(str(ROOT / "glmm"), verify_glmm.prove_glmm) == 0
    assert f"{len(glmm_items())} items, 0 refused" in capsys.readouterr().out


def test_the_files_are_those_of_the_checksums() -> None:
    assert (ROOT / "glmm" / "CHECKSUMS").read_text(encoding="utf-8") == checksums(ROOT / "glmm")


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_items_obey_the_schema(every: int) -> None:
    schema = json.loads((ROOT / "schema" / "glmm-item-1.json").read_text(encoding="utf-8"))
    check = jsonschema.Draft202012Validator(schema)
    for path in glmm_items()[::every]:
        check.validate(about(path.name))
        assert about(path.name)["id"] == path.name


def test_sets_under_the_gpl_stand_apart() -> None:
    for path in glmm_items():
        licence = about(path.name)["data"]["licence"]
        assert ("GPL" in licence) == (path.parent.name == "items-gpl")
        assert "GPL (>= 3)" not in licence or (path.parent / "COPYING3").is_file()


def made_again(name: str) -> None:
    (one,) = (candidate for candidate in all_glmm_items() if candidate.id == name)
    for file, text in glmm_files(one).items():
        assert (glmm_item(name) / file).read_bytes() == text.encode(), file


@pytest.mark.parametrize("name", MADE)
def test_the_command_makes_these_bytes(name: str) -> None:
    made_again(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.name for path in glmm_items()])
def test_the_command_makes_all_of_it(name: str) -> None:
    made_again(name)


@pytest.mark.parametrize("name", KNOWN)
def test_log_likelihoods_are_those_of_other_programs(name: str) -> None:
    found, known = mp.mpf(about(name)["values"]["loglik"]["value"][0]), mp.mpf(KNOWN[name])
    digits = len(KNOWN[name].partition(".")[2])
    assert abs(found - known) <= mp.mpf(10) ** -min(digits, 16)


def refused(name: str, tmp_path: Path, change: object) -> None:
    where = copied(glmm_item(name), tmp_path)
    what = change(where)  # type: ignore[operator]
    assert verify.main(str(tmp_path), verify_glmm.prove_glmm) == 1, f"{name}: {what}"


def by_digit(where: Path, rng: random.Random) -> str:
    return change_digit(where / rng.choice(sorted(p.name for p in where.iterdir())), rng)


def by_number(where: Path, rng: random.Random) -> str:
    what = falsify(where, rng)
    write_checksums(where.parents[1])
    return what


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("way", [by_digit, by_number])
def test_a_changed_digit_is_refused(seed: int, way: object, tmp_path: Path) -> None:
    rng = random.Random(seed)
    name = rng.choice(SMALL)
    refused(name, tmp_path, lambda where: way(where, rng))  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("way", [by_digit, by_number])
def test_two_hundred_changed_digits_are_refused(seed: int, way: object, tmp_path: Path) -> None:
    rng = random.Random(1000 + seed)
    name = rng.choice(glmm_items()).name
    refused(name, tmp_path, lambda where: way(where, rng))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cbpp.exact", lambda a: a["claim"].update(kind="global")),
        ("cbpp.exact", lambda a: a["claim"].update(singular=True)),
        ("cbpp.exact", lambda a: a["model"].update(criterion="glmm-laplace")),
        ("cbpp.laplace", lambda a: a["model"].update(criterion="glmm-exact")),
        ("cbpp.laplace", lambda a: a["model"].update(trials=[])),
        ("cbpp.laplace", lambda a: a["optima"].append(a["optima"][0])),
        ("cbpp.laplace", lambda a: a["values"].pop("beta_se")),
        ("cbpp.laplace", lambda a: a["model"]["random"][0].update(levels=14)),
        ("glmm_even_counts.exact", lambda a: a["certificate"].update(zero=[])),
        ("glmm_even_counts.laplace", lambda a: a["certificate"].update(zero=[1, 2])),
        ("glmm_exposures.exact", lambda a: a["model"].update(offset=None)),
        ("glmm_exposures.exact", lambda a: a["model"].update(family="binomial")),
        ("glmm_slopes.laplace", lambda a: a["model"].update(criterion="glmm-exact")),
    ],
)
def test_a_false_claim_is_refused(name: str, change: object, tmp_path: Path) -> None:
    where = copied(glmm_item(name), tmp_path)
    told = json.loads((where / ITEM).read_text(encoding="utf-8"))
    change(told)  # type: ignore[operator]
    (where / ITEM).write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises((ValueError, KeyError, AttributeError, IndexError, ZeroDivisionError)):
        verify_glmm.prove_glmm(where)


def test_a_saddle_is_no_maximum() -> None:
    """At a standard deviation of 0 the gradient is 0: a box there proves the face alone."""
    where = glmm_item("glmm_four_herds.exact")
    with flint.ctx.workprec(192), mp.workdps(50):
        data = verify_glmm.Data(
            about(where.name)["model"], (where / "data.csv").read_text(encoding="utf-8")
        )
        shares = [share_of(data.rows, x) for x in (0, 1)]
        logits = [mp.log(p / (1 - p)) for p, _ in shares]
        a, b = (1 / (n * p * (1 - p)) for p, n in shares)
        proof = {
            "zero": [2],
            "point": [mp.nstr(v, 40) for v in (logits[0], logits[1] - logits[0])],
            "radius": ["1E-30"] * 2,
            "preconditioner": [[mp.nstr(v, 20) for v in row] for row in ((a, -a), (-a, a + b))],
        }
        with pytest.raises(ValueError, match="maximum in the deviations"):
            next(verify_glmm.prove_maximum(data, proof))


def share_of(rows: list, x: int) -> tuple[mp.mpf, int]:
    """Successes in the trials of the rows with that x, and how many there are."""
    own = [(y, n) for y, n, _, (_, value), _ in rows if value == x]
    trials = sum(n for _, n in own)
    return mp.mpf(sum(y for y, _ in own)) / trials, trials


@pytest.mark.parametrize("bits", [45, 60])
@pytest.mark.parametrize(
    "name",
    ["cbpp.exact", "glmm_clusters_of_zeros.exact", "glmm_exposures.exact", "glmm_wide.exact"],
)
def test_the_bound_of_the_quadrature_holds_with_few_nodes(name: str, bits: int) -> None:
    """With so few bits the step is long and the bound is all of the error that shows."""
    data = verify_glmm.Data(
        about(name)["model"], (glmm_item(name) / "data.csv").read_text(encoding="utf-8")
    )
    place = [verify.rational(v) for v, _ in about(name)["optima"][0]["position"]]
    found = []
    for precision in (bits, 160):
        with flint.ctx.workprec(precision):
            at = verify_glmm.arb_mat(len(place), 1, [flint.arb(v) for v in place])
            value, slope, bend = verify_glmm.exact(data, at)
            found.append([value - data.constant, *slope.entries(), *bend.entries()])
    assert all(few.contains(many) for few, many in zip(*found, strict=True))
    assert all(many.rad() < few.rad() / 1e6 for few, many in zip(*found, strict=True))


class Independent:
    """One random intercept, by mpmath: each cluster's integral or its Laplace approximation."""

    def __init__(self, name: str) -> None:
        self.about = about(name)
        model = self.model = self.about["model"]
        with (glmm_item(name) / "doubles.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.clusters: dict[str, list] = defaultdict(list)
        for row in rows:
            x = [self.column(row, c["parts"]) for c in model["fixed"]]
            n = int(self.column(row, model["trials"]))
            o = self.column(row, model["offset"]) if model["offset"] else mp.mpf(0)
            y = int(float.fromhex(row[model["response"]]))
            key = ":".join(row[name] for name in model["random"][0]["by"])
            self.clusters[key].append((y, n, o, tuple(x)))

    @staticmethod
    def column(row: dict, parts: list) -> mp.mpf:
        value = 1.0
        for part in parts:
            text = row[part["column"]]
            value *= float(text == part["level"]) if "level" in part else float.fromhex(text)
        return mp.mpf(value)

    def log_f(self, rows: list, beta: list, shift: mp.mpf) -> mp.mpf:
        """The logarithm of the density of a cluster's responses given its random effect."""
        total = mp.mpf(0)
        for y, n, o, x in rows:
            eta = o + sum(b * v for b, v in zip(beta, x, strict=True)) + shift
            if self.model["family"] == "poisson":
                total += y * eta - mp.exp(eta) - mp.loggamma(y + 1)
            else:
                total += y * eta - n * mp.log1p(mp.exp(eta)) + mp.log(mp.binomial(n, y))
        return total

    def loglik(self, beta: list, sigma: mp.mpf) -> mp.mpf:
        one = self.exact if self.model["criterion"] == "glmm-exact" else self.laplace
        alike = Counter(tuple(sorted(rows)) for rows in self.clusters.values())
        return sum(times * one(list(rows), beta, sigma) for rows, times in alike.items())

    def h(self, rows: list, beta: list, sigma: mp.mpf, u: mp.mpf) -> mp.mpf:
        return self.log_f(rows, beta, sigma * u) - u * u / 2

    def mode(self, rows: list, beta: list, sigma: mp.mpf) -> mp.mpf:
        u = mp.mpf(0)
        for _ in range(60):
            slope = mp.diff(lambda v: self.h(rows, beta, sigma, v), u)
            bend = mp.diff(lambda v: self.h(rows, beta, sigma, v), u, 2)
            step = -slope / bend
            u += max(min(step, mp.mpf(1)), mp.mpf(-1))
            if abs(step) < mp.mpf(10) ** (-mp.mp.dps // 2):
                break
        return u

    def exact(self, rows: list, beta: list, sigma: mp.mpf) -> mp.mpf:
        """Gauss-Legendre in pieces about the mode."""
        centre = self.mode(rows, beta, sigma)
        top = self.h(rows, beta, sigma, centre)
        width = 1 / mp.sqrt(-mp.diff(lambda v: self.h(rows, beta, sigma, v), centre, 2))
        ends = [centre + width * k for k in (-40, -12, -6, -2, 2, 6, 12, 40)]
        found = mp.quad(lambda u: mp.exp(self.h(rows, beta, sigma, u) - top), ends)
        return top + mp.log(found / mp.sqrt(2 * mp.pi))

    def laplace(self, rows: list, beta: list, sigma: mp.mpf) -> mp.mpf:
        u = self.mode(rows, beta, sigma)
        bend = mp.diff(lambda v: self.h(rows, beta, sigma, v), u, 2)
        return self.h(rows, beta, sigma, u) - mp.log(-bend) / 2


def place(name: str) -> tuple[list, mp.mpf]:
    *beta, sigma = (mp.mpf(value) for value, _ in about(name)["optima"][0]["position"])
    return beta, sigma


def agrees(name: str) -> None:
    with mp.workdps(30):
        model = Independent(name)
        beta, sigma = place(name)
        published = mp.mpf(about(name)["values"]["loglik"]["value"][0])
        found = model.loglik(beta, sigma)
        # mp.quad and the differences in a mode leave some 14 of 30 digits.
        assert abs(found - published) <= mp.mpf(10) ** -14 * abs(published)
        step = mp.mpf(10) ** -3
        errors = [mp.mpf(v) for v in about(name)["values"]["beta_se"]["value"]]
        for k, error in enumerate(errors):  # a step of se / 1000 takes off half its square
            for sign in (1, -1):
                other = [b + sign * step * error * (i == k) for i, b in enumerate(beta)]
                assert model.loglik(other, sigma) < found
        for sign in (1, -1):
            assert model.loglik(beta, sigma + sign * step) < found


@pytest.mark.parametrize("name", FEW)
def test_values_agree_with_mpmath(name: str) -> None:
    agrees(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", INDEPENDENT)
def test_more_values_agree_with_mpmath(name: str) -> None:
    agrees(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", HARD)
def test_hard_likelihoods_agree_with_mpmath(name: str) -> None:
    with mp.workdps(30):
        found = Independent(name).loglik(*place(name))
    published = mp.mpf(about(name)["values"]["loglik"]["value"][0])
    assert abs(found - published) <= mp.mpf(10) ** -13 * abs(published)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["glmm_six_counts.exact", "glmm_four_herds.laplace"])
def test_standard_errors_are_those_of_the_information(name: str) -> None:
    with mp.workdps(40):
        model = Independent(name)
        beta, sigma = place(name)
        at = (*beta, sigma)
        size = len(at)
        H = mp.matrix(size)
        for i in range(size):
            for j in range(i + 1):
                order = tuple((k == i) + (k == j) for k in range(size))
                bend = mp.diff(lambda *x: model.loglik(list(x[:-1]), x[-1]), at, order, h=1e-6)
                H[i, j] = H[j, i] = -bend
        cov = H**-1
        for k, value in enumerate(about(name)["values"]["beta_se"]["value"]):
            assert abs(mp.sqrt(cov[k, k]) - mp.mpf(value)) <= mp.mpf(10) ** -9 * mp.mpf(value)


def test_the_table_holds_the_values_of_the_item() -> None:
    for name in MADE:
        with (glmm_item(name) / VALUES).open(newline="", encoding="utf-8") as file:
            _, *rows = csv.reader(file)
        tables = about(name)["values"]
        assert rows == [
            [q, *row] for q, t in tables.items() for row in zip(*t.values(), strict=True)
        ]
