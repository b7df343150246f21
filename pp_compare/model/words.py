"""The words that a formula may use of R's and patsy's: what each takes and what it makes.

Each word is a function of values of our own making, with R's names for its arguments (a dot is
written as an underscore) beside patsy's. Nothing else can be called, whatever a formula says.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from pp_compare.model.bases import b_splines, natural_splines, orthogonal_polynomials, powers
from pp_compare.model.factor import CONTRASTS, Contrast, Factor, factor_of_values, releveled


@dataclass(frozen=True, eq=False)
class Text:
    """A column of text that nobody has made a factor of yet; shape (n,), of objects."""

    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Matrix:
    """Several numeric columns of one name; `names` follow it, as R's ``poly(x, 2)1``."""

    values: np.ndarray
    names: tuple[str, ...]


Value = np.ndarray | Text | Factor | Matrix
"""An array of numbers or of logical values, or one of the others."""
Literal = float | str | bool | tuple["Literal", ...] | Contrast | None
"""What an option may be: it stands in the formula, not in the data."""


@dataclass(frozen=True)
class Word:
    """A function of a formula.

    Parameters
    ----------
    function : callable
    data : int
        How many of its first arguments come from the data; the others are options.
    """

    function: Callable[..., Value]
    data: int = 1

    @property
    def signature(self) -> inspect.Signature:
        """Its arguments."""
        return inspect.signature(self.function)


class NotNumericError(Exception):
    """A word was given a column that does not hold what it takes."""


def numbers(value: Value) -> np.ndarray:
    """A value as doubles.

    Raises
    ------
    NotNumericError
        For text, factors and matrices.
    """
    if not isinstance(value, np.ndarray):
        raise NotNumericError
    return value.astype(float)


def as_factor(value: Value) -> Factor:
    """A value as a factor, with sorted levels where it has none yet.

    Raises
    ------
    NotNumericError
        For a matrix.
    """
    if isinstance(value, Factor):
        return value
    if isinstance(value, Matrix):
        raise NotNumericError
    if isinstance(value, Text):
        return factor_of_values(value.values)
    if value.dtype == bool:
        return Factor(value.astype(np.int64), ("False", "True"))
    return factor_of_values(value)


# ---- numbers ------------------------------------------------------------------------------------


def _elementwise(function: Callable[[np.ndarray], np.ndarray]) -> Word:
    return Word(lambda x: np.asarray(function(numbers(x))))


def _summary(function: Callable[[np.ndarray], float]) -> Word:
    def summary(x: Value, na_rm: bool = True) -> Value:
        if numbers(x).size < 2:
            raise ValueError("a column of at least two rows is summed up, not a number")
        return np.array(function(numbers(x)))

    return Word(summary)


def _log(x: Value, base: float | None = None) -> Value:
    return np.asarray(np.log(numbers(x)) / (1.0 if base is None else np.log(base)))


def _round(x: Value, digits: float = 0) -> Value:
    return np.round(numbers(x), int(digits))


def _power(x: Value, exponent: Value) -> Value:
    return np.asarray(numbers(x) ** numbers(exponent))


def _same(x: Value) -> Value:
    return x


def _as_numeric(x: Value) -> Value:
    """Of a factor its codes from 1, of text the numbers that it spells, as in R."""
    if isinstance(x, Factor):
        return x.codes + 1.0
    if isinstance(x, Text):
        try:
            return np.array([float(text) for text in x.values])
        except ValueError:
            raise NotNumericError from None
    return numbers(x)


def _as_integer(x: Value) -> Value:
    return np.asarray(np.trunc(numbers(_as_numeric(x))))


def _as_character(x: Value) -> Value:
    return Text(as_factor(x).text())


def _as_logical(x: Value) -> Value:
    return np.asarray(numbers(x) != 0)


def _ifelse(test: Value, yes: Value, no: Value) -> Value:
    return np.where(numbers(test) != 0, numbers(yes), numbers(no))


def _scale(x: Value, center: Literal = True, scale: Literal = True) -> Value:
    """R's ``scale``: less the mean, over the standard deviation with n - 1."""
    v = numbers(x)
    moved = v - (v.mean() if center is True else _number(center or 0.0))
    by = np.sqrt((moved**2).sum() / (len(v) - 1)) if scale is True else _number(scale or 1.0)
    return np.asarray(moved / by)


def _center(x: Value) -> Value:
    return np.asarray(numbers(x) - numbers(x).mean())


def _standardize(x: Value, center: bool = True, rescale: bool = True, ddof: float = 0) -> Value:
    """The word of patsy: its standard deviation is that with n."""
    v = numbers(x)
    return np.asarray((v - v.mean() * center) / (v.std(ddof=int(ddof)) if rescale else 1.0))


# ---- several columns ----------------------------------------------------------------------------


def _numbered(values: np.ndarray) -> Matrix:
    return Matrix(values, tuple(str(k + 1) for k in range(values.shape[1])))


def _number(given: Literal) -> float:
    if not isinstance(given, int | float):
        raise ValueError(f"'{given}' stands where a number should")  # noqa: TRY004  # of the formula
    return float(given)


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _sequence(given: Literal) -> Sequence[float] | None:
    if given is None:
        return None
    return [_number(k) for k in (given if isinstance(given, tuple) else (given,))]


def _pair(given: Literal) -> tuple[float, float] | None:
    ends = _sequence(given)
    if ends is not None and len(ends) != 2:
        raise ValueError("the boundary knots are two")
    return None if ends is None else (ends[0], ends[1])


def _poly(x: Value, degree: float = 1, raw: bool = False, simple: bool = False) -> Value:
    make = powers if raw else orthogonal_polynomials
    return _numbered(make(numbers(x), int(degree)))


def _bs(
    x: Value,
    df: float | None = None,
    knots: Literal = None,
    degree: float = 3,
    intercept: bool = False,
    Boundary_knots: Literal = None,  # R's name
    include_intercept: bool = False,
) -> Value:
    return _numbered(
        b_splines(
            numbers(x), _sequence(knots), _whole(df), int(degree), intercept or include_intercept,
            _pair(Boundary_knots),
        )
    )  # fmt: skip


def _ns(
    x: Value,
    df: float | None = None,
    knots: Literal = None,
    intercept: bool = False,
    Boundary_knots: Literal = None,  # R's name
) -> Value:
    ends = _pair(Boundary_knots)
    return _numbered(natural_splines(numbers(x), _sequence(knots), _whole(df), intercept, ends))


def _dummy(f: Value, levelsToKeep: Literal = None) -> Value:  # lme4's name
    factor = as_factor(f)
    kept = factor.levels[1:] if levelsToKeep is None else _texts(levelsToKeep)
    unknown = [level for level in kept if level not in factor.levels]
    if unknown:
        raise ValueError(f"no level '{unknown[0]}'; there are: {', '.join(factor.levels[:20])}")
    columns = np.column_stack([factor.codes == factor.levels.index(level) for level in kept])
    return columns[:, 0].astype(float) if len(kept) == 1 else Matrix(columns.astype(float), kept)


# ---- factors ------------------------------------------------------------------------------------


def _texts(given: Literal) -> tuple[str, ...]:
    items = given if isinstance(given, tuple) else (given,)
    return tuple(_spelt(item) for item in items)


def _spelt(item: Literal) -> str:
    if isinstance(item, bool):
        return str(item).upper()
    return f"{item:.15g}" if isinstance(item, float) else str(item)


def _factor(
    x: Value, levels: Literal = None, labels: Literal = None, ordered: bool | None = None
) -> Value:
    found = as_factor(x)
    if levels is not None:
        found = _with_levels(found, _texts(levels))
    if labels is not None:
        names = _texts(labels)
        if len(names) != len(found.levels):
            raise ValueError(f"{len(names)} labels for {len(found.levels)} levels")
        found = replace(found, levels=names)
    return found if ordered is None else replace(found, ordered=ordered)


def _with_levels(factor: Factor, levels: tuple[str, ...]) -> Factor:
    missing = [level for level in factor.levels if level not in levels]
    if missing:
        raise ValueError(f"the column also holds '{missing[0]}', which would be missing; name it")
    position = np.array([levels.index(level) for level in factor.levels], dtype=np.int64)
    return replace(factor, codes=position[factor.codes], levels=levels)


def _ordered(x: Value, levels: Literal = None, labels: Literal = None) -> Value:
    return _factor(x, levels, labels, ordered=True)


def _relevel(x: Value, ref: Literal) -> Value:
    # A number is a level where it is spelt like one: levels of ids are numbers to their reader.
    factor, reference = as_factor(x), _spelt(ref)
    if reference not in factor.levels and isinstance(ref, float):
        return releveled(factor, int(ref))
    return releveled(factor, reference)


def _c(x: Value, contr: Literal = None, base: Literal = None, levels: Literal = None) -> Value:
    """R's ``C(object, contr)`` and patsy's ``C(x, contrast, levels)``, which read alike."""
    factor = as_factor(x)
    if levels is not None:
        factor = _with_levels(factor, _texts(levels))
    if contr is None:
        return factor
    if not isinstance(contr, Contrast) and str(contr) not in CONTRASTS:
        raise ValueError(f"no contrasts '{contr}'; there are: {', '.join(CONTRASTS)}")
    contrast = contr if isinstance(contr, Contrast) else Contrast(CONTRASTS[str(contr)])
    reference = contrast.reference if base is None else int(_number(base))
    if contrast.kind == "treatment" and reference is not None:
        factor = releveled(factor, reference)
    return replace(factor, contrast=Contrast(contrast.kind))


def _interaction(a: Value, b: Value) -> Value:
    """R's: levels ``a.b``, the first varying fastest."""
    first, second = as_factor(a), as_factor(b)
    levels = tuple(f"{x}.{y}" for y in second.levels for x in first.levels)
    return Factor(second.codes * len(first.levels) + first.codes, levels)


_ELEMENTWISE: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "exp": np.exp, "expm1": np.expm1,
    "sqrt": np.sqrt, "abs": np.abs, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "floor": np.floor, "ceiling": np.ceil, "trunc": np.trunc, "sign": np.sign,
    "plogis": special.expit, "qlogis": special.logit,
}  # fmt: skip
_SUMMARIES: Mapping[str, Callable[[np.ndarray], float]] = {
    "mean": np.mean, "median": np.median, "min": np.min, "max": np.max, "sum": np.sum,
    "sd": lambda x: float(x.std(ddof=1)), "var": lambda x: float(x.var(ddof=1)),
}  # fmt: skip
_NUMPY = ("log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs", "sin", "cos", "tan", "floor")

WORDS: dict[str, Word] = {
    **{name: _elementwise(function) for name, function in _ELEMENTWISE.items()},
    **{f"np.{name}": _elementwise(_ELEMENTWISE[name]) for name in (*_NUMPY, "sign")},
    **{name: _summary(function) for name, function in _SUMMARIES.items()},
    **{f"np.{name}": _summary(_SUMMARIES[name]) for name in ("mean", "median", "min", "max")},
    "np.std": _summary(lambda x: float(x.std())),
    "log": Word(_log),
    "np.log": Word(lambda x: np.log(numbers(x))),
    "np.power": Word(_power, data=2),
    "round": Word(_round),
    "I": Word(_same),
    "identity": Word(_same),
    "as.numeric": Word(_as_numeric),
    "as.double": Word(_as_numeric),
    "as.integer": Word(_as_integer),
    "as.character": Word(_as_character),
    "as.logical": Word(_as_logical),
    "ifelse": Word(_ifelse, data=3),
    "pmin": Word(lambda x, y: np.minimum(numbers(x), numbers(y)), data=2),
    "pmax": Word(lambda x, y: np.maximum(numbers(x), numbers(y)), data=2),
    "scale": Word(_scale),
    "center": Word(_center),
    "standardize": Word(_standardize),
    "poly": Word(_poly),
    "bs": Word(_bs),
    "ns": Word(_ns),
    "dummy": Word(_dummy),
    "factor": Word(_factor),
    "as.factor": Word(as_factor),
    "ordered": Word(_ordered),
    "as.ordered": Word(_ordered),
    "relevel": Word(_relevel),
    "droplevels": Word(as_factor),
    "C": Word(_c),
    "interaction": Word(_interaction, data=2),
}
"""Every function that a formula may call."""
