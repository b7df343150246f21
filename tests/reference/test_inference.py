"""Tests of the fixed effects: proved by a verifier of their own, by 50 digits, and against R."""

from __future__ import annotations

import json
import random
from itertools import combinations_with_replacement, product
from pathlib import Path

import mpmath as mp
import pytest

from pp_compare.inferences.r_inference import recorded_inference
from pp_compare.reference.make import inference_csv
from tests.examples import corpus_design
from tests.reference.fifty_digits import Dense, about
from tests.reference.the_set import (
    ITEM,
    ROOT,
    TESTS,
    copied,
    falsify_table,
    imports_of_a_short,
    item,
    items,
    verify,
    verify_inference,
    write_checksums,
)

SMALL = (
    "seed_case1.reml",
    "seed_case3.ml",
    "equal_means.reml",
    "two_optima_reml.reml",
    "nist_SmLs07.reml.decimals",
    "singular_slopes_six.reml",
    "Oxide.reml",
)
"""One of each kind: one random intercept and more, interior and singular, either criterion."""
FEW = ("smallest.reml", "two_optima_six.ml", "singular_slopes_six.reml")
INDEPENDENT = (
    *FEW,
    "balanced_6x5.reml",
    "blame_two_optima.reml",
    "seed_case3.ml",
    "two_optima_ml.ml",
    "two_optima_reml.reml",
    "large_ratio.ml",
    "Dyestuff.reml",
    "Dyestuff2.reml",
    "Rail.ml",
    "ergoStool.reml",
    "singular_slopes_equal.reml",
    "plates_by_samples.reml",
    "five_rows_slope.reml",
    "nearly_singular.reml",
)
RECORDED = ("sleepstudy", "Penicillin", "Oats", "Assay", "Machines_by_worker", "Dyestuff2")
# At its closest settings lme4's covariances have some 7 digits (docs/settings.md), and so have a
# standard error and its degrees of freedom; lmerTest's numerical derivatives take one more.
BOUNDS = {"satterthwaite": 2e-6, "satterthwaite-face": 2e-6, "kenward-roger": 2e-7}


def test_it_can_be_read_in_an_evening_and_imports_flint_alone() -> None:
    assert imports_of_a_short("verify_inference.py") == {"flint", "verify"}


@pytest.mark.parametrize("name", SMALL)
def test_an_item_is_proved(name: str) -> None:
    verify_inference.prove_inference(item(name))


@pytest.mark.slow
def test_all_items_are_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(str(ROOT), verify_inference.prove_inference) == 0
    assert f"{len(items())} items, 0 refused" in capsys.readouterr().out


def test_every_item_has_the_tests_of_its_criterion() -> None:
    for path in items():
        name = path.name
        found = set(about(name)["inference"])
        one = {"satterthwaite-face" if about(name)["claim"]["singular"] else "satterthwaite"}
        assert found == (one | {"kenward-roger"} if ".reml" in name else one), name
        assert (path / TESTS).read_text("utf-8") == inference_csv(about(name)["inference"])


def refused(name: str, tmp_path: Path, rng: random.Random) -> None:
    where = copied(item(name), tmp_path)
    told = json.loads((where / ITEM).read_text(encoding="utf-8"))
    what = falsify_table(told["inference"][rng.choice(list(told["inference"]))], rng)
    write(where, told)
    assert verify.main(str(tmp_path), verify_inference.prove_inference) == 1, f"{name}: {what}"
    assert verify.main(str(tmp_path)) == 0


def write(where: Path, told: dict) -> None:
    (where / ITEM).write_text(json.dumps(told), encoding="utf-8")
    (where / TESTS).write_text(inference_csv(told["inference"]), encoding="utf-8")
    write_checksums(where.parents[1])


@pytest.mark.parametrize("seed", range(6))
def test_a_changed_digit_is_refused_with_new_checksums(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    refused(rng.choice(SMALL), tmp_path, rng)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_two_hundred_changed_digits_are_refused(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    refused(rng.choice(items()).name, tmp_path, rng)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda tests: tests.pop("kenward-roger"), "are given"),
        (lambda tests: tests.update({"satterthwaite-face": tests["satterthwaite"]}), "are given"),
        (lambda tests: tests["kenward-roger"].pop("df"), "has no"),
        (lambda tests: tests["satterthwaite"].update(tests["kenward-roger"]), "beta_se|is not"),
        (lambda tests: tests["kenward-roger"]["beta_se"]["row"].reverse(), "is not"),
    ],
)
def test_false_tests_are_refused(change: object, why: str, tmp_path: Path) -> None:
    where = copied(item("seed_case1.reml"), tmp_path)
    told = json.loads((where / ITEM).read_text(encoding="utf-8"))
    change(told["inference"])  # type: ignore[operator]
    write(where, told)
    with pytest.raises((ValueError, KeyError), match=why):
        verify_inference.prove_inference(where)


class ByDefinition:
    """Kenward-Roger and Satterthwaite by their definitions, the parameters sigma2 and sigma2 G."""

    def __init__(self, name: str) -> None:
        self.dense = Dense(name)
        self.theta = self.dense.theta()
        found = self.dense.solve(self.theta)
        self.s2 = found["sigma"] ** 2
        self.X = self.dense.X

    def directions(self) -> list[mp.matrix]:
        """The derivatives of the covariance of y."""
        dense, found = self.dense, [mp.eye(self.dense.n)]
        for term in dense.about["model"]["random"]:
            z = [[dense.cell(row, c) for c in term["columns"]] for row in dense.rows]
            level = [[row[name] for name in term["by"]] for row in dense.rows]
            for i, j in combinations_with_replacement(range(len(term["columns"])), 2):
                D = mp.zeros(dense.n)
                for a, b in product(range(dense.n), repeat=2):
                    if level[a] == level[b]:
                        D[a, b] = z[a][i] * z[b][j] + (z[a][j] * z[b][i] if i != j else 0)
                found.append(D)
        return found

    def kenward_roger(self) -> dict[str, list]:
        """Section 2 and 3 of the paper, sums and all, in matrices of the size of the rows."""
        X, D = self.X, self.directions()
        inverse = (self.s2 * self.dense.covariance(self.theta)) ** -1
        Phi = (X.T * inverse * X) ** -1
        size = range(len(D))
        P = [-(X.T * inverse * d * inverse * X) for d in D]
        Q = [[X.T * inverse * a * inverse * b * inverse * X for b in D] for a in D]
        known = mp.matrix(len(D))
        for i, j in product(size, size):
            known[i, j] = trace(inverse * D[i] * inverse * D[j]) - trace(
                2 * Phi * Q[i][j] - Phi * P[i] * Phi * P[j]
            )
        W = (known / 2) ** -1
        total = mp.zeros(X.cols)
        for i, j in product(size, size):
            total += W[i, j] * (Q[i][j] - P[i] * Phi * P[j])
        adjusted = Phi + 2 * Phi * total * Phi
        found: dict[str, list] = {"beta_se": [], "df": []}
        for k in range(X.cols):
            found["beta_se"].append(mp.sqrt(adjusted[k, k]))
            found["df"].append(self.denominator(Phi, P, W, k))
        return found

    @staticmethod
    def denominator(Phi: mp.matrix, P: list, W: mp.matrix, k: int) -> mp.mpf:
        """Their m of one contrast, by its general formula."""
        one = [(Phi * p * Phi)[k, k] / Phi[k, k] for p in P]
        A1 = A2 = sum(W[i, j] * one[i] * one[j] for i in range(len(P)) for j in range(len(P)))
        B, g = (A1 + 6 * A2) / 2, (2 * A1 - 5 * A2) / (3 * A2)
        unit = 3 + 2 * (1 - g)
        E = 1 / (1 - A2)
        V = 2 * (1 + g / unit * B) / ((1 - (1 - g) / unit * B) ** 2 * (1 - (3 - g) / unit * B))
        rho = V / (2 * E**2)
        return 4 + 3 / (rho - 1)

    def satterthwaite(self) -> dict[str, list]:
        """By differences in lme4's theta and sigma, as lmerTest has it; what is 0 stays there."""
        free = [k for k, value in enumerate(self.theta) if value]
        at = [*(self.theta[k] for k in free), mp.sqrt(self.s2)]

        def moved(x: list) -> tuple[list, mp.mpf]:
            theta = list(self.theta)
            for k, value in zip(free, x[:-1], strict=True):
                theta[k] = value
            return theta, x[-1] ** 2

        def deviance(*x: mp.mpf) -> mp.mpf:
            return self.deviance(*moved(list(x)))

        def variances(x: list) -> list[mp.mpf]:
            theta, s2 = moved(x)
            Phi = (self.X.T * (s2 * self.dense.covariance(theta)) ** -1 * self.X) ** -1
            return [Phi[k, k] for k in range(self.X.cols)]

        step, size = mp.mpf(10) ** -12, len(at)
        hessian, slopes = mp.matrix(size), []
        for i in range(size):
            e = [step * (abs(v) or 1) * (k == i) for k, v in enumerate(at)]
            up, down = ([v + s * d for v, d in zip(at, e, strict=True)] for s in (1, -1))
            ends = zip(variances(up), variances(down), strict=True)
            slopes.append([(a - b) / (2 * e[i]) for a, b in ends])
            for j in range(i + 1):
                order = tuple((k == i) + (k == j) for k in range(size))
                hessian[i, j] = hessian[j, i] = mp.diff(deviance, tuple(at), order, h=step)
        A = 2 * hessian**-1
        found = []
        for k, v in enumerate(variances(at)):
            g = mp.matrix([slope[k] for slope in slopes])
            found.append(2 * v**2 / (g.T * A * g)[0])
        return {"df": found}

    def deviance(self, theta: list, s2: mp.mpf) -> mp.mpf:
        """-2 log L at any covariance, the fixed effects at their best."""
        dense = self.dense
        V = s2 * dense.covariance(theta)
        inverse = V**-1
        S = self.X.T * inverse * self.X
        e = dense.y - self.X * (S**-1 * (self.X.T * inverse * dense.y))
        value = mp.log(mp.det(V)) + (e.T * inverse * e)[0]
        return value + mp.log(mp.det(S)) if dense.reml else value


def trace(M: mp.matrix) -> mp.mpf:
    return sum(M[i, i] for i in range(M.rows))


def agrees(name: str) -> None:
    with mp.workdps(60):
        tests = ByDefinition(name)
        told = about(name)["inference"]
        for definition, tables in told.items():
            if definition == "kenward-roger":
                found, digits = tests.kenward_roger(), 14
            else:
                found, digits = tests.satterthwaite(), 10  # differences
            for quantity, table in tables.items():
                for value, number in zip(table["value"], found[quantity], strict=True):
                    # The place is published to 20 digits, less what the conditioning takes.
                    bound = mp.mpf(10) ** -digits * mp.mpf(value)
                    assert abs(mp.mpf(value) - number) <= bound, (definition, quantity, value)


@pytest.mark.parametrize("name", FEW)
def test_tests_agree_with_fifty_digits(name: str) -> None:
    agrees(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", INDEPENDENT)
def test_more_tests_agree_with_fifty_digits(name: str) -> None:
    agrees(name)


@pytest.mark.parametrize("name", RECORDED)
def test_tests_agree_with_pbkrtest_and_lmertest(name: str) -> None:
    record = recorded_inference(corpus_design(name), name, "tight")
    theirs = {table.definition: table.lines for table in record.tables}
    for definition, tables in about(f"{name}.reml")["inference"].items():
        lines = {line.term: line for line in theirs[definition.removesuffix("-face")]}
        for row, value in zip(tables["df"]["row"], tables["df"]["value"], strict=True):
            assert lines[row].df == pytest.approx(float(value), rel=BOUNDS[definition]), row
    se = about(f"{name}.reml")["inference"]["kenward-roger"]["beta_se"]
    for row, value in zip(se["row"], se["value"], strict=True):
        lines = {line.term: line for line in theirs["kenward-roger"]}
        assert lines[row].se == pytest.approx(float(value), rel=BOUNDS["kenward-roger"]), row
