"""The printout of ``summary()`` of lmer, lme and MixedLM, pasted as a whole, as numbers.

Nothing is known here of the model: a `Printed` number has a kind and the printout's own labels.
`pp_compare.verdict.expected` says what each should be. A row that cannot be read is refused: a
number that nobody looked at must not count as right.
"""

from __future__ import annotations

import textwrap

from pp_compare.errors import InputError
from pp_compare.fitted.lme_printout import read_lme
from pp_compare.fitted.lmer_printout import read_lmer
from pp_compare.fitted.mixedlm_printout import read_mixedlm
from pp_compare.fitted.printed import Printout

MOST_CHARACTERS = 200_000
"""A summary is a page; what is longer is something else."""
MOST_LINES = 4000


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
        return read_lmer(lines)
    if "Linear mixed-effects model fit by" in joined:
        return read_lme(lines)
    if "Mixed Linear Model Regression Results" in joined:
        return read_mixedlm(lines)
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
