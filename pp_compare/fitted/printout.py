"""The printout of ``summary()`` of lmer, lme and MixedLM, pasted as a whole, as numbers.

Nothing is known here of the model: a `Printed` number has a kind and the printout's own labels.
`pp_compare.verdict.shown` says what each should be.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pp_compare.errors import InputError
from pp_compare.fitted.numbers import Number, shown_number
from pp_compare.model import Method

Kind = Literal[
    "beta",
    "beta_se",
    "statistic",
    "p_t",
    "p_z",
    "lower",
    "upper",
    "beta_corr",
    "random_variance",
    "random_sd",
    "random_cov",
    "random_corr",
    "sigma2",
    "sigma",
    "criterion",
    "loglik",
    "aic",
    "bic",
    "residual",
    "n_obs",
    "n_groups",
    "group_size",
    "quantity",
]
MOST_CHARACTERS = 200_000
"""A summary is a page; what is longer is something else."""
MOST_LINES = 4000


@dataclass(frozen=True)
class Printed:
    """One number of a printout.

    Parameters
    ----------
    kind : str
        What it is (`Kind`).
    labels : tuple of str
        The printout's own labels, or positions for what is printed without.
    number : Number
    place : str
        Where it stands, in words.
    """

    kind: Kind
    labels: tuple[str, ...]
    number: Number
    place: str


@dataclass(frozen=True)
class Printout:
    """A whole printout.

    Parameters
    ----------
    program : {"lme4", "nlme", "statsmodels"}
    method : {"REML", "ML"}
    formula : str or None
        In lme4's grammar, where the printout says it.
    numbers : tuple of Printed
    unchecked : tuple of str
        Numbers that are shown and of which nothing here says what they should be.
    converged : bool or None
        By its own word.
    """

    program: Literal["lme4", "nlme", "statsmodels"]
    method: Method
    formula: str | None
    numbers: tuple[Printed, ...]
    unchecked: tuple[str, ...] = ()
    converged: bool | None = None


def from_printout(text: str) -> Printout:
    """Read the printout of ``summary()`` of lmer, lme or statsmodels' MixedLM.

    Parameters
    ----------
    text : str
        The whole printout; comment signs of knitr (``##``, ``#>``) before each line may stay.

    Raises
    ------
    InputError
        For text that is none of these, or of which a table cannot be read, with the line.

    Examples
    --------
    >>> from pp_compare import from_printout
    >>> printout = from_printout('''
    ... Linear mixed model fit by REML ['lmerMod']
    ... Formula: Yield ~ 1 + (1 | Batch)
    ...    Data: Dyestuff
    ...
    ... REML criterion at convergence: 319.7
    ...
    ... Random effects:
    ...  Groups   Name        Variance Std.Dev.
    ...  Batch    (Intercept) 1764     42.00
    ...  Residual             2451     49.51
    ... Number of obs: 30, groups:  Batch, 6
    ...
    ... Fixed effects:
    ...             Estimate Std. Error t value
    ... (Intercept)  1527.50      19.38    78.8
    ... ''')
    >>> printout.program, printout.method, len(printout.numbers)
    ('lme4', 'REML', 10)
    """
    lines = _lines(text)
    joined = "\n".join(lines)
    if "Linear mixed model fit by" in joined:
        return _lmer(lines)
    if "Linear mixed-effects model fit by" in joined:
        return _lme(lines)
    if "Mixed Linear Model Regression Results" in joined:
        return _mixedlm(lines)
    raise InputError(
        "this is no printout of summary() of lmer, lme or MixedLM: none of its first lines, "
        "'Linear mixed model fit by', 'Linear mixed-effects model fit by', "
        "'Mixed Linear Model Regression Results', is in it"
    )


def _lines(text: str) -> list[str]:
    if len(text) > MOST_CHARACTERS or text.count("\n") > MOST_LINES:
        raise InputError(
            f"a printout has at most {MOST_CHARACTERS} characters; here are {len(text)}"
        )
    plain = text.replace("\r\n", "\n").replace("\u00a0", " ").replace("−", "-").expandtabs(8)
    lines = [line.rstrip() for line in plain.splitlines()]
    written = [line for line in lines if line]
    for mark in ("##", "#>"):
        if written and all(line.startswith(mark) for line in written):
            lines = [line[len(mark) :].removeprefix(" ") for line in lines]
    return textwrap.dedent("\n".join(lines)).splitlines()


# ---- tables -------------------------------------------------------------------------------------

_NUMBER = r"[<>]?\s?[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|NaN|NA"


def _row(line: str, columns: int) -> tuple[str, list[str]] | None:
    """The label of a row and its last so many numbers; stars of significance are left out."""
    tail = rf"((?:\s+(?:{_NUMBER})){{{columns}}})\s*[*.]{{0,3}}$"
    match = re.match(rf"(.*?\S)??{tail}", line)
    if match is None:
        return None
    cells = [cell.strip() for cell in re.findall(_NUMBER, match.group(2))]
    return (match.group(1) or "").strip(), cells


def _section(lines: Sequence[str], begins: str) -> list[str]:
    """The lines after the one that begins so, up to an empty one."""
    for i, line in enumerate(lines):
        if line.strip().startswith(begins):
            rest = list(lines[i + 1 :])
            return rest[: rest.index("")] if "" in rest else rest
    return []


def _value(lines: Sequence[str], pattern: str) -> re.Match[str] | None:
    return next((m for m in (re.search(pattern, line) for line in lines) if m), None)


_COEFFICIENTS: dict[str, Kind] = {
    "Estimate": "beta",
    "Value": "beta",
    "Std. Error": "beta_se",
    "Std.Error": "beta_se",
    "t value": "statistic",
    "t-value": "statistic",
    "Pr(>|t|)": "p_t",
    "p-value": "p_t",
}
_HEADINGS = re.compile(
    r"Estimate|Value|Std\. ?Error|df|DF|t[ -]value|p-value|Pr\(>\|t\|\)", re.IGNORECASE
)


def _coefficients(lines: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of R's table of coefficients, its blocks put side by side again."""
    rows: dict[str, dict[str, str]] = {}
    heads: list[str] = []
    for line in lines:
        found = _HEADINGS.findall(line)
        if found and not re.search(r"\d", _HEADINGS.sub("", line)):
            heads = found
            continue
        row = _row(line, len(heads)) if heads else None
        if row is None:
            break
        rows.setdefault(row[0], {}).update(zip(heads, row[1], strict=True))
    yield from rows.items()


def _fixed_effects(lines: Sequence[str], begins: str) -> Iterator[Printed]:
    for label, cells in _coefficients(_section(lines, begins)):
        df = cells.get("DF") or cells.get("df")
        for head, text in cells.items():
            kind = _COEFFICIENTS.get(head)
            if kind is None:
                continue
            labels = (label, df) if kind == "p_t" and df else (label,)
            number = _p_value(text) if kind == "p_t" else shown_number(text)
            yield Printed(kind, labels, number, f"{head} of {label}")


def _p_value(text: str) -> Number:
    """R rounds p-values to 4 decimals; a column of zeros shows as 0."""
    return shown_number("0.0000") if text == "0" else shown_number(text)


def _correlations(lines: Sequence[str], begins: str, labels: Sequence[str]) -> Iterator[Printed]:
    """The lower triangle, by position: R shortens the labels; wide tables come in blocks."""
    first = width = row = 0
    for line in _section(lines, begins):
        numbers = re.findall(rf"(?<=\s)(?:{_NUMBER})(?=\s|$)", line)
        if not numbers:
            first, width, row = first + width, len(line.split()), first + width
            continue
        row += 1
        for k, text in enumerate(numbers[-min(row - first, width) :]):
            pair = (labels[row], labels[first + k])
            yield Printed(
                "beta_corr", pair, shown_number(text), f"correlation of {' and '.join(pair)}"
            )


def _residuals(lines: Sequence[str], begins: str) -> Iterator[Printed]:
    section = _section(lines, begins)
    if len(section) < 2:
        return
    for name, text in zip(section[0].split(), section[1].split(), strict=False):
        yield Printed("residual", (name,), shown_number(text), f"scaled residual {name}")


def _fit_statistics(lines: Sequence[str]) -> Iterator[Printed]:
    """``AIC BIC logLik deviance df.resid``, of lmer under ML and of lme."""
    kinds: dict[str, Kind] = {
        "AIC": "aic",
        "BIC": "bic",
        "logLik": "loglik",
        "deviance": "criterion",
        "-2*log(L)": "criterion",
    }
    for i, line in enumerate(lines[:-1]):
        names = line.split()
        if names[:3] == ["AIC", "BIC", "logLik"]:
            for name, text in zip(names, lines[i + 1].split(), strict=False):
                if name in kinds:
                    yield Printed(kinds[name], (), shown_number(text), name)


# ---- lmer ---------------------------------------------------------------------------------------


def _lmer(lines: Sequence[str]) -> Printout:
    method: Method = "REML" if _value(lines, r"fit by REML") else "ML"
    formula = _following(lines, "Formula:", ("Data:", "REML", "Weights:", "Control:", "Subset:"))
    fixed = list(_fixed_effects(lines, "Fixed effects:"))
    labels = [each.labels[0] for each in fixed if each.kind == "beta"]
    found = [
        *_criterion(lines),
        *_fit_statistics(lines),
        *_residuals(lines, "Scaled residuals:"),
        *_lmer_random(lines),
        *_lmer_counts(lines),
        *fixed,
        *_correlations(lines, "Correlation of Fixed Effects", labels),
    ]
    _complete(found, "lmer")
    unchecked = ("df (Satterthwaite)",) if _value(lines, r"Std\. Error\s+df") else ()
    failed = _value(lines, r"failed to converge|convergence code: [1-9-]")
    return Printout(
        "lme4",
        method,
        unwrapped(formula) if formula else None,
        tuple(_checked(found, unchecked)),
        unchecked,
        not failed,
    )


_SUM_OF_BARS = re.compile(r"\((\([^()]*\|[^()]*\)(?:\s*\+\s*\([^()]*\|[^()]*\))+)\)")


def unwrapped(formula: str) -> str:
    """lme4 prints ``(x || g)`` as ``((1 | g) + (0 + x | g))``."""
    return _SUM_OF_BARS.sub(r"\1", formula)


def _checked(found: Sequence[Printed], unchecked: Sequence[str]) -> Iterator[Printed]:
    """Without p-values whose degrees of freedom nothing here computes."""
    return (each for each in found if not (unchecked and each.kind == "p_t"))


def _following(lines: Sequence[str], begins: str, ends: tuple[str, ...]) -> str | None:
    """What stands after a word, over the lines that R breaks it into."""
    for i, line in enumerate(lines):
        if line.strip().startswith(begins):
            parts = [line.strip().removeprefix(begins)]
            for more in lines[i + 1 :]:
                if not more.strip() or more.strip().startswith(ends):
                    break
                parts.append(more)
            return " ".join(part.strip() for part in parts).strip()
    return None


def _criterion(lines: Sequence[str]) -> Iterator[Printed]:
    match = _value(lines, rf"REML criterion at convergence:\s*({_NUMBER})")
    if match:
        yield Printed("criterion", (), shown_number(match.group(1)), "REML criterion")


def _lmer_random(lines: Sequence[str]) -> Iterator[Printed]:
    section = _section(lines, "Random effects:")
    if not section:
        return
    head = section[0]
    at_name, at_variance = head.find("Name"), head.find("Variance")
    if at_name < 0 or at_variance < 0:
        raise InputError(
            f"the table of random effects has no heading 'Name' and 'Variance': '{head}'"
        )
    group, names = "", list[str]()
    for line in section[1:]:
        if line.startswith("Number of obs"):
            break
        here = line[:at_name].strip()
        if here and here != group:
            group, names = here, []
        yield from _lmer_effect(group, line[at_name:at_variance].strip(), names, line[at_variance:])


def _lmer_effect(group: str, name: str, names: list[str], rest: str) -> Iterator[Printed]:
    numbers = rest.split()
    if len(numbers) < 2:
        raise InputError(f"a row of the random effects has no variance and Std.Dev.: '{rest}'")
    variance, sd, *correlations = map(shown_number, numbers)
    if group == "Residual":
        yield Printed("sigma2", (), variance, "residual variance")
        yield Printed("sigma", (), sd, "residual Std.Dev.")
        return
    yield Printed("random_variance", (group, name), variance, f"variance of {group} {name}")
    yield Printed("random_sd", (group, name), sd, f"Std.Dev. of {group} {name}")
    for other, number in zip(names, correlations, strict=False):
        place = f"correlation of {group} {name} and {other}"
        yield Printed("random_corr", (group, name, other), number, place)
    names.append(name)


def _lmer_counts(lines: Sequence[str]) -> Iterator[Printed]:
    text = _following(lines, "Number of obs:", ("Fixed effects:",))
    if text is None:
        return
    rows, _, groups = text.partition(", groups:")
    yield Printed("n_obs", (), _count(rows), "number of obs")
    for part in groups.split(";"):
        name, _, number = part.rpartition(",")
        yield Printed(
            "n_groups", (name.strip(),), _count(number), f"number of groups {name.strip()}"
        )


def _count(text: str) -> Number:
    """A count is exact."""
    number = shown_number(text)
    return Number(number.value, 0.0, number.text)


def _complete(found: Sequence[Printed], program: str) -> None:
    kinds = {each.kind for each in found}
    if "beta" not in kinds or not kinds & {"sigma", "sigma2"}:
        missing = "fixed effects" if "beta" not in kinds else "random effects"
        raise InputError(f"the printout of {program} has no table of {missing} that can be read")


# ---- lme ----------------------------------------------------------------------------------------


def _lme(lines: Sequence[str]) -> Printout:
    method: Method = "REML" if _value(lines, r"fit by REML") else "ML"
    fixed = list(_fixed_effects(lines, "Fixed effects:"))
    labels = [each.labels[0] for each in fixed if each.kind == "beta"]
    random, bars = _lme_random(lines)
    found = [
        *_fit_statistics(lines),
        *random,
        *fixed,
        *_correlations(lines, "Correlation:", labels),
        *_residuals(lines, "Standardized Within-Group Residuals:"),
        *_lme_counts(lines),
    ]
    _complete(found, "lme")
    text = _following(lines, "Fixed effects:", ("Value",))
    fixed_formula = (text or "").strip()
    formula = " + ".join([fixed_formula, *bars]) if "~" in fixed_formula and bars else None
    return Printout("nlme", method, formula, tuple(found))


def _lme_random(lines: Sequence[str]) -> tuple[list[Printed], list[str]]:
    """The numbers, and the terms in lme4's grammar, outermost first."""
    start = next((i for i, line in enumerate(lines) if line.startswith("Random effects:")), None)
    end = next((i for i, line in enumerate(lines) if line.startswith("Fixed effects:")), len(lines))
    found, bars, outer = list[Printed](), list[str](), list[str]()
    block: list[str] = []
    for line in [*lines[(start or 0) + 1 : end], " Formula:"]:
        if line.strip().startswith("Formula:") and block:
            numbers, bar, outer = _lme_block(block, outer)
            found += numbers
            bars.append(bar)
            block = []
        if line.strip():
            block.append(line)
    return found, bars


def _lme_block(block: Sequence[str], outer: Sequence[str]) -> tuple[list[Printed], str, list[str]]:
    match = re.match(r"\s*Formula:\s*~\s*(.*?)\s*\|\s*(.+)$", block[0])
    if match is None:
        raise InputError(f"a random term of lme cannot be read: '{block[0].strip()}'")
    effects, group = match.groups()
    structure = " ".join(line for line in block if line.strip().startswith("Structure:"))
    inner = [group.partition("%in%")[0].strip()] if "%in%" in group else [group.strip()]
    groups = [*outer, *inner]
    mark = "||" if "Diagonal" in structure else "|"
    body = [line for line in block[1:] if not line.strip().startswith("Structure:")]
    numbers = list(_lme_column(body, group) if "Corr" in body[0] else _lme_line(body, group))
    return numbers, f"({effects} {mark} {':'.join(groups)})", groups


def _lme_line(body: Sequence[str], group: str) -> Iterator[Printed]:
    """Effects side by side over ``StdDev:``."""
    names: list[str] = []
    for line in body:
        if line.strip().startswith("StdDev:"):
            for name, text in zip(names, line.split()[1:], strict=True):
                yield from _lme_sd(group, name, text)
        else:
            names = line.split()


def _lme_column(body: Sequence[str], group: str) -> Iterator[Printed]:
    """Effects below each other, with their correlations."""
    names: list[str] = []
    for line in body[1:]:
        match = re.match(rf"(.*?)\s+((?:{_NUMBER}).*)$", line)
        if match is None:
            raise InputError(f"a row of lme's random effects cannot be read: '{line}'")
        name, numbers = (
            match.group(1).strip(),
            re.findall(rf"(?<!\S)(?:{_NUMBER})(?!\S)", match.group(2)),
        )
        yield from _lme_sd(group, name, numbers[0])
        for other, text in zip(names, numbers[1:], strict=False):
            place = f"correlation of {group} {name} and {other}"
            yield Printed("random_corr", (group, name, other), shown_number(text), place)
        names.append(name)


def _lme_sd(group: str, name: str, text: str) -> Iterator[Printed]:
    if name == "Residual":
        yield Printed("sigma", (), shown_number(text), "residual StdDev")
    else:
        yield Printed("random_sd", (group, name), shown_number(text), f"StdDev of {group} {name}")


def _lme_counts(lines: Sequence[str]) -> Iterator[Printed]:
    rows = _value(lines, r"Number of Observations:\s*(\d+)")
    if rows:
        yield Printed("n_obs", (), _count(rows.group(1)), "Number of Observations")
    one = _value(lines, r"Number of Groups:\s*(\d+)")
    if one:
        yield Printed("n_groups", (), _count(one.group(1)), "Number of Groups")
        return
    section = _section(lines, "Number of Groups:")
    if len(section) >= 2:
        names = re.split(r"\s{2,}|(?<=\S) (?=\S+ %in%)", section[0].strip())
        counts = section[1].split()
        if len(names) == len(counts):
            for name, text in zip(names, counts, strict=True):
                yield Printed("n_groups", (name,), _count(text), f"Number of Groups {name}")


# ---- MixedLM ------------------------------------------------------------------------------------


def _mixedlm(lines: Sequence[str]) -> Printout:
    method: Method = "REML" if _value(lines, r"Method:\s+REML") else "ML"
    found = [*_mixedlm_head(lines), *_mixedlm_table(lines)]
    _complete(found, "MixedLM")
    said = _value(lines, r"Converged:\s+(Yes|No)")
    unchecked = ("Std.Err. of variances",)
    converged = None if said is None else said.group(1) == "Yes"
    return Printout("statsmodels", method, None, tuple(found), unchecked, converged)


def _mixedlm_head(lines: Sequence[str]) -> Iterator[Printed]:
    wanted: tuple[tuple[str, Kind, tuple[str, ...]], ...] = (
        ("Scale", "sigma2", ()),
        ("Log-Likelihood", "loglik", ()),
        ("No. Observations", "n_obs", ()),
        ("No. Groups", "n_groups", ()),
        ("Min. group size", "group_size", ("min",)),
        ("Max. group size", "group_size", ("max",)),
        ("Mean group size", "group_size", ("mean",)),
    )
    for name, kind, labels in wanted:
        match = _value(lines, rf"{re.escape(name)}:\s+({_NUMBER})")
        if match is not None:
            exact = kind in {"n_obs", "n_groups"} or labels[:1] in {("min",), ("max",)}
            read = _count if exact else shown_number
            yield Printed(kind, labels, read(match.group(1)), name)


_MIXEDLM_COLUMNS: tuple[tuple[str, Kind], ...] = (
    ("Coef.", "beta"),
    ("Std.Err.", "beta_se"),
    ("z", "statistic"),
    ("P>|z|", "p_z"),
    ("lower", "lower"),
    ("upper", "upper"),
)


def _mixedlm_table(lines: Sequence[str]) -> Iterator[Printed]:
    start = next((i for i, line in enumerate(lines) if "P>|z|" in line), None)
    if start is None:
        return
    level = re.search(r"\[(0\.\d+)", lines[start])
    for line in lines[start + 1 :]:
        if not line or set(line) <= {"=", "-"}:
            continue
        whole = _row(line, 6)
        if whole is not None:
            for (name, kind), text in zip(_MIXEDLM_COLUMNS, whole[1], strict=True):
                labels = (
                    (whole[0], level.group(1))
                    if level and name in {"lower", "upper"}
                    else (whole[0],)
                )
                yield Printed(kind, labels, shown_number(text), f"{name} of {whole[0]}")
            continue
        yield from _mixedlm_variance(line)


def _mixedlm_variance(line: str) -> Iterator[Printed]:
    """``g Var  9.447  6.158``; the standard error may be missing."""
    match = re.match(rf"(.+?) (Var|Cov)\s+({_NUMBER})(?:\s+({_NUMBER}))?$", line)
    if match is None:
        return
    name, kind, text = match.group(1), match.group(2), match.group(3)
    if kind == "Var":
        yield Printed("random_variance", ("", name), shown_number(text), f"{name} Var")
    else:
        one, _, other = name.partition(" x ")
        yield Printed("random_cov", ("", one, other), shown_number(text), f"{name} Cov")
