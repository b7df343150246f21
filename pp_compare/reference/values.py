"""Every value of an item: the balls of a certified optimum as decimals, by quantity and label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flint import arb, arb_mat, ctx

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.equations.mixed_equations import solve
from pp_compare.certified.equations.parametrisation import enclosed_theta
from pp_compare.certified.general.estimates import estimates
from pp_compare.certified.intercept.optimum import InterceptOptimum
from pp_compare.model.design import Block, Design
from pp_compare.reference.decimals import decimals
from pp_compare.reference.general_proof import BITS as PROOF_BITS
from pp_compare.reference.general_proof import Refined

MOST_ROWS = 200
"""Of a table of fitted values."""
MOST_EFFECTS = 400
"""Of a table of random effects."""
BITS = 512
Value = tuple[str, str, arb, arb]
"""Labels of row and column, the number, and the unit that its digits are counted in."""


@dataclass(frozen=True)
class Balls:
    """A certified optimum, whichever core it is from.

    Attributes
    ----------
    deviance, sigma : arb
    beta : list of arb, (p,)
    beta_cov : arb_mat, (p, p)
    random_cov : list of arb_mat, by random term
    blup : list of arb_mat, by random term, (m, q)
    position : list of arb
        ``tau2 / sigma2`` of one random intercept, else theta.
    """

    deviance: arb
    sigma: arb
    beta: list[arb]
    beta_cov: arb_mat
    random_cov: list[arb_mat]
    blup: list[arb_mat]
    position: list[arb]


def balls_of_intercept(own: InterceptOptimum) -> Balls:
    """The optimum of one random intercept."""
    return Balls(
        own.deviance,
        own.sigma,
        list(own.beta),
        own.beta_cov,
        [arb_mat([[own.tau2]])],
        [arb_mat([[u] for u in own.blup])],
        [own.rho],
    )


def balls_of_general(design: Design, point: Refined) -> Balls:
    """The optimum of any other model."""
    blocks = [RandomBlock(block.codes, block.Z) for block in design.blocks]
    with ctx.workprec(PROOF_BITS):
        solution = solve(point.products, [t * t.transpose() for t in point.factors])
        sigma2 = solution.residual() / solution.df(point.reml)
        at = estimates(solution, sigma2, design.X, blocks)
        return Balls(
            solution.profiled_deviance(point.reml),
            at.sigma,
            at.beta.entries(),
            at.beta_cov,
            list(at.random_cov),
            list(at.blup),
            enclosed_theta(point.products, point.factors).entries(),
        )


def values_of(design: Design, balls: Balls) -> dict[str, dict[str, list[str]]]:
    """The tables of an item: row and column labels, values and radii, by quantity."""
    with ctx.workprec(BITS):
        return {name: table_of(list(rows)) for name, rows in _quantities(design, balls)}


def table_of(rows: Sequence[Value]) -> dict[str, list[str]]:
    """Labels, values and radii, each a list."""
    numbers = [decimals(value, unit) for _, _, value, unit in rows]
    return {
        "row": [row for row, _, _, _ in rows],
        "column": [column for _, column, _, _ in rows],
        "value": [number.value for number in numbers],
        "radius": [number.radius for number in numbers],
    }


def _quantities(design: Design, balls: Balls) -> Iterator[tuple[str, Iterator[Value]]]:
    one = arb(1)
    errors = [balls.beta_cov[k, k].sqrt() for k in range(len(balls.beta))]
    labels = design.labels
    yield "deviance", iter([("", "", balls.deviance, one)])
    yield "loglik", iter([("", "", -balls.deviance / 2, one)])
    yield "sigma", iter([("", "", balls.sigma, balls.sigma)])
    betas = zip(labels, balls.beta, errors, strict=True)
    yield "beta", ((label, "", b, se) for label, b, se in betas)
    yield "beta_se", ((label, "", se, se) for label, se in zip(labels, errors, strict=True))
    yield "beta_cov", covariance_rows(labels, balls.beta_cov, errors)
    yield from _by_group(design, balls)
    if design.n_obs <= MOST_ROWS:
        yield "fitted", _fitted(design, balls)


def covariance_rows(
    labels: Sequence[str], matrix: arb_mat, units: Sequence[arb]
) -> Iterator[Value]:
    """Elements of a covariance, in products of their units."""
    for i, row in enumerate(labels):
        for j, column in enumerate(labels):
            yield row, column, matrix[i, j], units[i] * units[j]


def _by_group(design: Design, balls: Balls) -> Iterator[tuple[str, Iterator[Value]]]:
    """Covariances and predictions of each grouping factor, over all its terms."""
    effects = sum(len(b.levels) * len(b.columns) for b in design.blocks)
    for group in design.group_levels:
        terms = [(k, b) for k, b in enumerate(design.blocks) if b.group == group]
        yield f"random_cov[{group}]", _each(terms, balls, _covariances)
        if effects <= MOST_EFFECTS:
            yield f"blup[{group}]", _each(terms, balls, _predictions)


def _each(terms: Sequence[tuple[int, Block]], balls: Balls, rows: Any) -> Iterator[Value]:
    for k, block in terms:
        yield from rows(block, k, balls)


def _covariances(block: Block, k: int, balls: Balls) -> Iterator[Value]:
    G = balls.random_cov[k]
    return covariance_rows(block.labels, G, [_size(G[i, i], balls.sigma) for i in range(G.nrows())])


def _size(variance: arb, sigma: arb) -> arb:
    """A standard deviation as a unit; sigma where it is 0."""
    return variance.sqrt() if variance > 0 else sigma


def _predictions(block: Block, k: int, balls: Balls) -> Iterator[Value]:
    G, u = balls.random_cov[k], balls.blup[k]
    for i, level in enumerate(block.levels):
        for j, label in enumerate(block.labels):
            yield level, label, u[i, j], _size(G[j, j], balls.sigma)


def _fitted(design: Design, balls: Balls) -> Iterator[Value]:
    for i in range(design.n_obs):
        total = sum(
            (arb(x) * b for x, b in zip(design.X[i].tolist(), balls.beta, strict=True)), arb(0)
        )
        for block, u in zip(design.blocks, balls.blup, strict=True):
            level = int(block.codes[i])
            total += sum((arb(z) * u[level, j] for j, z in enumerate(block.Z[i].tolist())), arb(0))
        yield str(i + 1), "", total, balls.sigma
