"""Why an optimum lies on the boundary, in numbers of the data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from flint import arb

from pp_compare.certified.intercept.likelihood import criterion_of
from pp_compare.certified.intercept.precision import START_BITS, ball_precision
from pp_compare.certified.models import CertifiedModel, GeneralModel, InterceptModel
from pp_compare.model.design import Block, Design


def why_singular(design: Design, model: CertifiedModel) -> str | None:
    """The reason for a singular optimum as a sentence.

    None where the optimum is not singular, where the variances are not identified, or where
    nothing is proved of it.

    Parameters
    ----------
    design : Design
    model : CertifiedModel
        Of the same design.
    """
    if not model.optimum.singular or model.existence.kind != "unique":
        return None
    if isinstance(model, InterceptModel):
        return _mean_squares(design) or _slope_at_zero(model)
    if isinstance(model, GeneralModel):
        return "; ".join(_rises(design, model)) or None
    return None


def _mean_squares(design: Design) -> str | None:
    """The comparison that decides where groups are equal in size and X is constant within them.

    REML then gives tau2 = max(0, (MSB - MSW) / n), with the groups' residual degrees of freedom in
    MSB; ML the same with the number of groups (Searle, Casella & McCulloch 1992, section 4.7).
    """
    (block,) = design.blocks
    sizes = np.bincount(block.codes)
    means = np.array([design.group_means(block.group, x) for x in design.X.T]).T
    if np.ptp(sizes) or not (means[block.codes] == design.X).all():
        return None
    groups, n = len(sizes), int(sizes[0])
    observed = design.group_means(block.group, design.y)
    within = float(((design.y - observed[block.codes]) ** 2).sum()) / (design.n_obs - groups)
    left = observed - means @ np.linalg.lstsq(means, observed)[0]
    squares = n * float(left @ left)
    reml = design.spec.method == "REML"
    between = squares / (groups - design.X.shape[1] if reml else groups)
    if not between < within:  # equal but for rounding: no number shows it
        return None
    name = "mean square between" if reml else f"sum of squares between over {groups} groups"
    return f"{name} {between:.4g} below {within:.4g} within, so {design.spec.method} gives 0"


def _slope_at_zero(model: InterceptModel) -> str | None:
    """How the deviance rises from tau2 = 0, and what is known of other minima."""
    with ball_precision(START_BITS):
        point = criterion_of(model.statistics, model.reml, START_BITS).score(arb(0), 1)
        slope = (point.penalty[0] - point.evidence[0]) / point.q
    if not slope > 0:
        return None
    sentence = f"the deviance rises from tau2 = 0, at {float(slope):.4g} per unit of tau2 / sigma2"
    others = model.optimum.optima[1:]
    if not others:
        return f"{sentence}, and has no other minimum"
    higher = float(others[0].deviance) - model.optimum.deviance
    return f"{sentence}, and its other minimum is {higher:.4g} higher"


def _rises(design: Design, model: GeneralModel) -> Iterator[str]:
    for rise in model.found.rises:
        block = design.blocks[rise.block]
        name = _effect(block, rise.row)
        slope = f"the deviance would rise by {rise.slope:.4g} per unit of"
        if rise.alone:
            yield f"the variance of {name} is 0: {slope} its variance over sigma2"
        else:
            yield (
                f"{name} is a multiple of the random effects before it: {slope} variance over "
                "sigma2 of its own"
            )


def _effect(block: Block, row: int) -> str:
    return f"'{block.labels[row]}' by '{block.group}'"
