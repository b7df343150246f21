"""Numbers that somebody passes by name: a mapping of what they are to values, text or floats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pp_compare.errors import InputError
from pp_compare.fitted.labels import Labels
from pp_compare.fitted.numbers import number_of
from pp_compare.fitted.printed import Kind, Printed
from pp_compare.model import Quantity
from pp_compare.model.design import Design

SCALARS: dict[str, Kind] = {
    "sigma": "sigma",
    "scale": "sigma2",
    "loglik": "loglik",
    "logLik": "loglik",
    "llf": "loglik",
    "REMLcrit": "criterion",
    "deviance": "criterion",
    "AIC": "aic",
    "BIC": "bic",
}
"""Names of single numbers: ours, R's and statsmodels'."""
VECTORS: dict[str, Kind] = {
    "beta": "beta",
    "fixef": "beta",
    "fe_params": "beta",
    "beta_se": "beta_se",
    "bse_fe": "beta_se",
}


def given_numbers(
    values: Mapping[str, Any],
    design: Design,
    known: Mapping[str, Quantity],
    digits: int | None = None,
) -> Iterator[Printed]:
    """Every number of a mapping, with what it is.

    Parameters
    ----------
    values : mapping
        By quantity (``beta``, ``sigma``, ``random_cov[g]``), by R's word (``REMLcrit``), or by the
        label of one number: ``(Intercept)``, ``armplacebo``, ``arm[T.b]``, ``Group Var``.
    known : mapping of str to Quantity
        The quantities that there are, for the order of values without labels.
    digits : int, optional
        Significant digits to which the floats among the values were rounded.

    Raises
    ------
    InputError
        For a name or label that is none of the model, another number of values than it has.
    """
    labels = Labels(design)
    for key, value in values.items():
        name = str(key)
        if name in SCALARS:
            yield Printed(SCALARS[name], (), number_of(_single(name, value), digits), name)
        elif name in VECTORS:
            yield from _vector(VECTORS[name], name, value, design, labels, digits)
        elif name in known:
            yield from _quantity(name, value, known[name], digits)
        else:
            yield _one(name, value, labels, known, digits)


def _single(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return value
    array = np.asarray(value, dtype=object)
    if array.size != 1:
        raise InputError(f"{name} is one number, not {array.size}")
    return array.ravel()[0]


def _vector(
    kind: Kind, name: str, value: Any, design: Design, labels: Labels, digits: int | None
) -> Iterator[Printed]:
    if hasattr(value, "items"):
        pairs = [(str(label), each) for label, each in value.items()]
    else:
        array = np.asarray(value, dtype=object).ravel()
        if array.size != len(design.labels):
            raise InputError(f"{name} has shape {array.shape}, not {(len(design.labels),)}")
        pairs = list(zip(design.labels, array, strict=True))
    for label, each in pairs:
        ours = labels.fixed(label)
        yield Printed(kind, (ours,), number_of(each, digits), f"{name} {ours}")


def _quantity(name: str, value: Any, like: Quantity, digits: int | None) -> Iterator[Printed]:
    array = np.asarray(value, dtype=object)
    if array.size != like.values.size:
        raise InputError(f"{name} has shape {array.shape}, not {like.values.shape}")
    flat = array.reshape(like.values.shape)
    at = dict(places(like))
    for label, _ in like.entries():
        number = number_of(flat[at[label]], digits)
        yield Printed("quantity", (name, label), number, f"{name} {label}".strip())


def places(like: Quantity) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Where each number of a quantity stands in its array, by the label of `Quantity.entries`."""
    shape = like.values.shape
    index = Quantity(like.name, np.arange(like.values.size).reshape(shape), like.rows, like.columns)
    for label, flat in index.entries():
        yield label, tuple(int(k) for k in np.unravel_index(int(flat), shape)) if shape else ()


def _one(
    name: str, value: Any, labels: Labels, known: Mapping[str, Quantity], digits: int | None
) -> Printed:
    """A single number under the label that a printout gives it."""
    number = number_of(_single(name, value), digits)
    if name.endswith(" Var"):
        return Printed("random_variance", ("", name.removesuffix(" Var")), number, name)
    if name.endswith(" Cov"):
        one, _, other = name.removesuffix(" Cov").partition(" x ")
        return Printed("random_cov", ("", one, other), number, name)
    try:
        ours = labels.fixed(name)
    except InputError as error:
        there = ", ".join([*known, *SCALARS])
        raise InputError(f"no quantity '{name}'; there are: {there}; and {error}") from None
    return Printed("beta", (ours,), number, f"beta {ours}")
