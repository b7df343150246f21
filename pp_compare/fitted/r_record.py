"""A fit of lme4, nlme or glmmTMB as ``r/write_fit.R`` describes it, read as model and Fit.

The model is recovered from its formula and data where these give R's own model matrix, to the last
bit; else from that matrix. Everything is aligned by values and rows, and by names only where R has
nothing else: the effects of a random term.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pp_compare.engines.alignment import design_error
from pp_compare.errors import InputError
from pp_compare.fitted.labels import Labels
from pp_compare.fitted.lmer_printout import unwrapped
from pp_compare.fitted.record import FittedModel
from pp_compare.fitted.statsmodels_design import HAND_OVER, NAME, column_order
from pp_compare.fitted.table import Table, bar, quoted, same_partition
from pp_compare.model import Dataset, Fit, Method
from pp_compare.model.answer import quantities
from pp_compare.model.design import Block, Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.model.variables import categorical

SCHEMA = "pp-compare/fit/1"
PACKAGES = {"lme4": "lme4", "nlme": "nlme", "glmmtmb": "glmmTMB"}


@dataclass(frozen=True, eq=False)
class RTerm:
    """One random term: its group in R's name, its effects in R's names, their covariance (q, q)."""

    group: str
    effects: tuple[str, ...]
    cov: np.ndarray


@dataclass(frozen=True, eq=False)
class RModes:
    """Predicted effects of one grouping factor: levels by effects, (m, q)."""

    group: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class RFit:
    """What R says of a fit; arrays in R's own order.

    Parameters
    ----------
    package : str
    versions : mapping of str to str
    formula : str
    method : {"REML", "ML"}
    data : DataFrame
        The rows that were fitted.
    labels : tuple of str, length p
        R's names of the columns of X.
    beta, beta_se : ndarray, shape (p,)
    beta_cov : ndarray, shape (p, p)
    random : tuple of RTerm
    modes : tuple of RModes
    levels : mapping of str to ndarray of str, shape (n,)
        The level of each row, by R's name of the grouping factor.
    X : ndarray, shape (n, p)
    y, fitted : ndarray, shape (n,)
    """

    package: str
    versions: Mapping[str, str]
    formula: str
    method: Method
    data: pd.DataFrame
    labels: tuple[str, ...]
    beta: np.ndarray
    beta_se: np.ndarray
    beta_cov: np.ndarray
    random: tuple[RTerm, ...]
    modes: tuple[RModes, ...]
    levels: Mapping[str, np.ndarray]
    X: np.ndarray
    y: np.ndarray
    fitted: np.ndarray
    sigma: float
    loglik: float
    converged: bool | None
    singular: bool | None
    messages: tuple[str, ...]


def fitted_model(
    found: RFit, source: str, data: pd.DataFrame | None = None, formula: str | None = None
) -> FittedModel:
    """Design and Fit of what R says.

    Raises
    ------
    InputError
        Where the design cannot be recovered, with what to pass; DataError where no mixed model can
        be fitted to it.
    """
    design, notes = _design(found, data, formula)
    return FittedModel(design, _fit(found, design), source, notes)


def _design(
    found: RFit, data: pd.DataFrame | None, formula: str | None
) -> tuple[Design, tuple[str, ...]]:
    if data is not None and formula is not None:
        design = build_design(Dataset(NAME, data), parse_formula(formula, found.method), "drop")
        _held_against(found, design)
        return design, ()
    try:
        design = build_design(Dataset(NAME, found.data), parse_formula(found.formula, found.method))
        _held_against(found, design)
    except InputError:
        design = _by_matrices(found)
        _held_against(found, design)
        return design, (
            "The fixed part is taken as the columns of its model matrix, under R's names.",
        )
    return design, ()


def _by_matrices(found: RFit) -> Design:
    """Of R's model matrix, its groups row by row, and slopes that are columns of either."""
    response = "response" if "~" not in found.formula else found.formula.partition("~")[0].strip()
    table = Table(pd.DataFrame({response: found.y}), response)
    one = [bool((column == 1).all()) for column in found.X.T]
    named = zip(found.labels, found.X.T, one, strict=True)
    names = {label: table.number(label, column) for label, column, is_one in named if not is_one}
    fixed = ["1" if any(one) else "0", *map(quoted, names.values())]
    bars = [_bar(found, term, table, names) for term in found.random]
    formula = f"{quoted(response)} ~ {' + '.join([*fixed, *bars])}"
    return build_design(Dataset(NAME, table.frame), parse_formula(formula, found.method))


def _bar(found: RFit, term: RTerm, table: Table, names: Mapping[str, str]) -> str:
    slopes = [_slope(found, effect, table, names) for effect in term.effects if not _is_one(effect)]
    levels = found.levels[_plain(found, term.group)]
    group = term.group if term.group in table.frame.columns else ""
    group = group or table.add_factor(_plain(found, term.group), levels)
    diagonal = len(term.effects) > 1 and not (term.cov - np.diag(np.diag(term.cov))).any()
    text = bar(any(map(_is_one, term.effects)), slopes, [group])
    return text.replace(" | ", " || ") if diagonal and "||" in found.formula else text


def _slope(found: RFit, effect: str, table: Table, names: Mapping[str, str]) -> str:
    if effect in names:
        return names[effect]
    if effect in found.data.columns and found.data[effect].dtype.kind in "iuf":
        return table.number(effect, found.data[effect].to_numpy(float))
    raise InputError(f"the random effect '{effect}' is no column that R has written; {HAND_OVER}")


def _is_one(effect: str) -> bool:
    return effect == "(Intercept)"


def _plain(found: RFit, group: str) -> str:
    """The name under which R keeps the levels of a term's group, which may be ``g.1`` there."""
    head, dot, tail = group.rpartition(".")
    return head if group not in found.levels and dot and tail.isdigit() else group


def _held_against(found: RFit, design: Design) -> None:
    """Refuse a design that is not R's: response, columns, groups, number of effects."""
    if not np.array_equal(design.y, found.y):
        raise InputError(f"the response is not the one that was fitted; {HAND_OVER}")
    column_order(design.X, found.X, "the fixed part")
    for group in found.levels:
        _our_group(found, design, group)
    ours = sum(len(block.columns) for block in design.blocks)
    theirs = sum(len(term.effects) for term in found.random)
    if ours != theirs:
        raise InputError(f"the random part has {theirs} effects, not {ours}; {HAND_OVER}")


def _our_group(found: RFit, design: Design, group: str) -> str:
    codes = pd.factorize(found.levels[_plain(found, group)])[0]
    for name, own in design.group_codes.items():
        if len(own) == len(codes) and same_partition(own, codes):
            return name
    raise InputError(f"no grouping factor of the formula is R's '{group}'; {HAND_OVER}")


def _fit(found: RFit, design: Design) -> Fit:
    order = np.argsort(column_order(design.X, found.X, "the fixed part"))
    labels = [design.labels[k] for k in column_order(design.X, found.X, "the fixed part")]
    effects = [_effects(found, design, block) for block in design.blocks] if found.modes else None
    return Fit(
        found.package,
        "ok",
        quantities(
            design,
            beta=found.beta[order],
            beta_se=found.beta_se[order],
            beta_cov=found.beta_cov[np.ix_(order, order)],
            sigma=found.sigma,
            loglik=found.loglik,
            covariances=[_covariance(found, design, block) for block in design.blocks],
            effects=effects,
            fitted=found.fitted,
        ),
        converged=found.converged,
        singular=found.singular,
        messages=found.messages,
        versions=found.versions,
        design_error=design_error(design, labels, found.X, found.y),
    )


def _covariance(found: RFit, design: Design, block: Block) -> np.ndarray:
    """Of a block of ours, from the term of R that has its effects."""
    for term in found.random:
        if _our_group(found, design, term.group) == block.group:
            ours = _our_effects(design, block.group, term.effects)
            if set(block.labels) <= set(ours):
                at = [ours.index(label) for label in block.labels]
                return term.cov[np.ix_(at, at)]
    raise InputError(f"R has no random term of '{block.group}' with {', '.join(block.labels)}")


def _effects(found: RFit, design: Design, block: Block) -> np.ndarray:
    """Predictions of a block's levels, each found by a row that has it."""
    modes = next(m for m in found.modes if _our_group(found, design, m.group) == block.group)
    ours = _our_effects(design, block.group, modes.columns)
    at = [ours.index(label) for label in block.labels]
    of_rows = found.levels[_plain(found, modes.group)]
    first = np.unique(block.codes, return_index=True)[1]
    rows = [modes.rows.index(str(of_rows[row])) for row in first]
    return modes.values[np.ix_(rows, at)]


def _our_effects(design: Design, group: str, effects: Sequence[str]) -> list[str]:
    labels = Labels(design)
    return [labels.effect(group, effect) for effect in effects]


def r_fit(record: Mapping[str, Any]) -> RFit:
    """Check a record of ``r/write_fit.R`` and take it apart.

    Raises
    ------
    InputError
        With the field that is missing or is not what it should be.
    """
    if _text(record, "schema") != SCHEMA:
        raise InputError(f"the file is of schema '{_text(record, 'schema')}', not '{SCHEMA}'")
    package = _text(record, "package")
    if package not in PACKAGES:
        raise InputError(f"the fit is of '{package}', not of {', '.join(PACKAGES)}")
    y = _numbers(record, "y")
    n, labels = len(y), _texts(_part(record, "X"), "columns")
    p = len(labels)
    beta = _part(record, "beta")
    if _texts(beta, "names") != labels:
        raise InputError("beta has other names than the columns of X: a coefficient was dropped")
    versions = _part(record, "versions")
    return RFit(
        package=package,
        versions=dict(zip(_texts(versions, "names"), _texts(versions, "values"), strict=True)),
        formula=unwrapped(_text(record, "formula")),
        method="REML" if _flag(record, "REML") else "ML",
        data=_frame(_part(record, "data"), n),
        labels=labels,
        beta=_numbers(beta, "values", p),
        beta_se=_numbers(record, "beta_se", p),
        beta_cov=_numbers(record, "beta_cov", p * p).reshape(p, p),
        random=tuple(map(_term, _list(record, "random"))),
        modes=tuple(map(_modes, _list(record, "blup"))),
        levels=_levels(_list(record, "levels"), n),
        X=_numbers(_part(record, "X"), "values", n * p).reshape(n, p, order="F"),
        y=y,
        fitted=_numbers(record, "fitted", n),
        sigma=float(_numbers(record, "sigma", 1)[0]),
        loglik=float(_numbers(record, "loglik", 1)[0]),
        converged=_flag(record, "converged"),
        singular=_flag(record, "singular"),
        messages=_texts(record, "messages"),
    )


def _term(record: Mapping[str, Any]) -> RTerm:
    effects = _texts(record, "effects")
    q = len(effects)
    return RTerm(_text(record, "group"), effects, _numbers(record, "values", q * q).reshape(q, q))


def _modes(record: Mapping[str, Any]) -> RModes:
    rows, columns = _texts(record, "rows"), _texts(record, "columns")
    values = _numbers(record, "values", len(rows) * len(columns))
    shaped = values.reshape(len(rows), len(columns), order="F")
    return RModes(_text(record, "group"), rows, columns, shaped)


def _levels(records: Sequence[Any], n: int) -> dict[str, np.ndarray]:
    found = {}
    for record in records:
        rows = _texts(record, "rows")
        if len(rows) != n:
            raise InputError(f"levels of '{_text(record, 'group')}' are {len(rows)}, not {n}")
        found[_text(record, "group")] = np.array(rows, dtype=object)
    return found


def _frame(record: Mapping[str, Any], n: int) -> pd.DataFrame:
    return pd.DataFrame({str(name): _column(name, each, n) for name, each in record.items()})


def _column(name: str, record: Any, n: int) -> Any:
    if not isinstance(record, Mapping):
        raise InputError(f"data: column '{name}' is no object")
    if "levels" in record:
        levels, codes = _texts(record, "levels"), _numbers(record, "codes", n)
        if not ((codes >= 1) & (codes <= len(levels)) & (codes == np.round(codes))).all():
            raise InputError(f"data: column '{name}' has codes outside its {len(levels)} levels")
        return categorical(codes - 1, levels)
    if "text" in record:
        texts = _texts(record, "text")
        if len(texts) != n:
            raise InputError(f"data: column '{name}' has {len(texts)} rows, not {n}")
        return np.array(texts, dtype=object)
    return _numbers(record, "values", n)


def _part(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = record.get(key)
    if not isinstance(value, Mapping):
        raise InputError(f"'{key}' is missing, or no object")
    return value


def _list(record: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = record.get(key)
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise InputError(f"'{key}' is missing, or no list of objects")
    return value


def _numbers(record: Mapping[str, Any], key: str, size: int | None = None) -> np.ndarray:
    """Numbers of a field; null and "NA" are nan."""
    value = record.get(key)
    if not isinstance(value, list | np.ndarray):
        raise InputError(f"'{key}' is missing, or no list of numbers")
    try:
        found = np.array([_double(each) for each in value], dtype=float)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"'{key}' is no list of numbers") from None
    if size is not None and found.shape != (size,):
        raise InputError(f"'{key}' has {len(found)} numbers, not {size}")
    return found


def _double(value: Any) -> float:
    if value is None or value in ("NA", "NaN"):
        return float("nan")
    if isinstance(value, str):
        return {"Inf": float("inf"), "-Inf": -float("inf")}[value]
    return float(value)


def _texts(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = record.get(key)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(f"'{key}' is missing, or no list of texts")
    return tuple(value)


def _text(record: Mapping[str, Any], key: str) -> str:
    texts = _texts(record, key)
    if len(texts) != 1:
        raise InputError(f"'{key}' is {len(texts)} texts, not one")
    return texts[0]


def _flag(record: Mapping[str, Any], key: str) -> bool | None:
    value = record.get(key)
    if not isinstance(value, list) or len(value) != 1 or value[0] not in (True, False, None):
        raise InputError(f"'{key}' is missing, or neither true nor false")
    return None if value[0] is None else bool(value[0])
