"""The league: engines side by side, counted over the models of a report.

Where an engine stood is read off the criterion at its own variances (truth, not parity), digits
come from `pp_compare.report.digest`, and times are compared on the models that both engines fitted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from pp_compare.model import Fit, ModelSpec
from pp_compare.model.formula import parse_formula
from pp_compare.report.digest import digits_of, engines_of
from pp_compare.report.document import Document, Section
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.table import Table
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.judgement import GOOD, STANDINGS

YARDSTICK = "lme4"
"""Times are given in its times; without it, in those of the first engine."""
ENDS = ("at the optimum", "short of it", "wrong optimum", "other estimator", "not judged")
KINDS_OF_MODELS = (
    "random intercept",
    "independent effects",
    "correlated effects",
    "several groups",
    "several groups, correlated",
)


@dataclass(frozen=True)
class Standing:
    """One engine over all models.

    Parameters
    ----------
    engine, version : str
    ends : mapping of str to int
        Models by where the engine stopped, one of `ENDS`.
    worth : mapping of str to int
        Models by the judgement of its numbers there (`pp_compare.verdict.judgement.STANDINGS`).
    failed : int
        Models in which it raised, crashed or ran out of time.
    unsupported : int
        Models that it cannot express.
    seconds : float
        Median time of a fit, within the engine's own functions.
    ratio : float
        Median over the models that both fitted of its time over the yardstick's.
    """

    engine: str
    version: str
    ends: Mapping[str, int]
    worth: Mapping[str, int]
    failed: int
    unsupported: int
    seconds: float
    ratio: float

    @property
    def fitted(self) -> int:
        """Models that it answered."""
        return sum(self.ends.values())


@dataclass(frozen=True)
class League:
    """What the tables show; engines in the order of the standing."""

    models: int
    yardstick: str
    standings: tuple[Standing, ...]
    abilities: Mapping[tuple[str, str], tuple[str, ...]]
    reasons: tuple[str, ...]


def league_of(report: Report) -> League:
    """Count a report; the certified engine is the truth and takes no part."""
    engines = [engine for engine in engines_of(report) if engine != "certified"]
    yardstick = next((e for e in engines if e == YARDSTICK), engines[0] if engines else "")
    standings = [_standing(report, engine, yardstick) for engine in engines]
    return League(
        len(report.cases),
        yardstick,
        tuple(sorted(standings, key=_rank)),
        {(e, kind): _methods(report, e, kind) for e in engines for kind in KINDS_OF_MODELS},
        tuple(_reasons(report, engines)),
    )


def _rank(standing: Standing) -> tuple[float, float, float]:
    """Best first: the share of its models that it is good for, then how many it fits, then time."""
    good = sum(standing.worth[each] for each in GOOD)
    share = good / max(1, standing.fitted + standing.failed)
    return (-share, -standing.fitted, standing.seconds)


def _standing(report: Report, engine: str, yardstick: str) -> Standing:
    fits = [(case, case.fits[engine]) for case in report.cases if engine in case.fits]
    answered = [(case, fit) for case, fit in fits if fit.status == "ok"]
    ends = [_end(case, fit) for case, fit in answered]
    judged = [j.standing for case in report.cases for j in case.judgements if j.engine == engine]
    ratios = [
        fit.seconds / other.seconds
        for case, fit in answered
        if (other := case.fits.get(yardstick)) and other.status == "ok" and other.seconds > 0
    ]
    return Standing(
        engine,
        _version([fit for _, fit in fits]),
        {end: ends.count(end) for end in ENDS},
        {standing: judged.count(standing) for standing in STANDINGS},
        sum(fit.status == "error" for _, fit in fits),
        sum(fit.status == "unsupported" for _, fit in fits),
        median([fit.seconds for _, fit in answered]) if answered else math.nan,
        median(ratios) if ratios else math.nan,
    )


def _version(fits: Iterable[Fit]) -> str:
    """Of the package that the engine is named after."""
    for fit in fits:
        name = fit.engine.partition(":")[0].lower()
        known = {package.lower(): text for package, text in fit.versions.items()}
        if name in known:
            return known[name]
    return ""


def _end(case: CaseReport, fit: Fit) -> str:
    line = _criterion(case, fit.engine)
    if line is None or line.verdict == "skip":
        return "not judged"
    if line.verdict == "pass":
        return "other estimator" if fit.estimator else "at the optimum"
    causes = {"wrong optimum": "wrong optimum", "definition": "other estimator"}
    return causes.get(line.cause or "", "short of it")


def _criterion(case: CaseReport, engine: str) -> Comparison | None:
    lines = (x for x in case.comparisons if x.candidate == engine and x.quantity == "criterion")
    return next(lines, None)


def kind_of_model(spec: ModelSpec) -> str:
    """One of `KINDS_OF_MODELS`; nested and crossed groups count alike."""
    wide = any(term.intercept + len(term.terms) > 1 for term in spec.random)
    if len(spec.groups) > 1:
        return "several groups, correlated" if wide else "several groups"
    if wide:
        return "correlated effects"
    return "random intercept" if spec.is_random_intercept else "independent effects"


def _methods(report: Report, engine: str, kind: str) -> tuple[str, ...]:
    """Criteria under which the engine answered a model of this kind."""
    found = {
        case.method
        for case in report.cases
        if engine in case.fits
        and case.fits[engine].status == "ok"
        and kind_of_model(parse_formula(case.formula)) == kind
    }
    return tuple(method for method in ("REML", "ML") if method in found)


def _reasons(report: Report, engines: Iterable[str]) -> Iterable[str]:
    """Why an engine left models out, and what it does not give; each reason once."""
    found: dict[str, int] = {}
    for engine in engines:
        for case in report.cases:
            fit = case.fits.get(engine)
            if fit is not None and fit.status == "unsupported":
                text = f"{engine} left out: {'; '.join(fit.messages)}"
                found[text] = found.get(text, 0) + 1
            elif fit is not None:
                given = (f"{engine} has no {kind}: {why}" for kind, why in fit.not_given.items())
                found |= {text: found.get(text, 0) + 1 for text in given}
    return [f"{text} ({n} model{'' if n == 1 else 's'})." for text, n in found.items()]


def league_document(report: Report, unavailable: Mapping[str, str] | None = None) -> Document:
    """The league as a document.

    Parameters
    ----------
    report : Report
    unavailable : mapping of str to str, optional
        Engines that did not take part, with the reason.
    """
    league, p = league_of(report), report.provenance
    left_out = tuple(
        f"{engine} took no part: {why}." for engine, why in (unavailable or {}).items()
    )
    made = (
        f"Made by: {p.command or 'pp_compare.audits.league'}; {p.started}; Python {p.python}, "
        f"{p.platform}; {p.blas}" + (f"; R {p.R}" if p.R else "") + "."
    )
    return Document(
        "League of mixed-model engines",
        (
            Section("Can their numbers be used?", _WORTH_TEXT, worth_table(league)),
            Section("Where they stop", _STANDING_TEXT, standing_table(league)),
            Section("Digits", _DIGITS_TEXT, digits_table(report, league)),
            Section("What each can fit", _ABILITY_TEXT, ability_table(league)),
            Section("Left out, and why", (*league.reasons, *left_out)),
            Section("With what this was made", (made,)),
        ),
    )


_WORTH_TEXT = (
    "Models by what the numbers are worth to who would report them, as in an audit: right; "
    "right by another documented definition; short of the optimum by less than harms; wrong; at a "
    "worse optimum; without an answer. Engines are in the order of the share in the first three.",
)
_STANDING_TEXT = (
    "Models by where the engine stopped, seen by the certified criterion at its own variances: "
    "within the tolerance of the optimum, short of it, in a worse local optimum, or by an "
    "estimator that is not maximum likelihood. Not judged: double precision cannot tell, or the "
    "model has no certified optimum.",
    "Seconds are the median of a fit within the engine's own functions; the last column is the "
    "median, over the models that both fitted, of the time over the yardstick's.",
)
_DIGITS_TEXT = (
    "Digits in which an engine equals the certified optimum, of each model's worst number: median "
    "and minimum over the models that it fitted. Empty: not given. An engine of another estimator "
    "or definition is told how far that is from the likelihood's, not that it is wrong.",
)
_ABILITY_TEXT = (
    "Criteria under which at least one model of the kind was answered. Several groups are nested "
    "or crossed; independent effects are lme4's (x || g).",
)


def worth_table(league: League) -> Table:
    """What each engine's numbers are worth."""
    rows = [
        (s.engine, s.version, *(str(s.worth[standing]) for standing in STANDINGS))
        for s in league.standings
    ]
    return Table(("engine", "version", *STANDINGS), tuple(rows), labels=2)


def standing_table(league: League) -> Table:
    """Where each engine stopped, and how long it took."""
    columns = ("engine", "version", *ENDS, "failed", "seconds", f"times {league.yardstick}")
    rows = [
        (
            s.engine,
            s.version,
            *(str(s.ends[end]) for end in ENDS),
            str(s.failed),
            _number(s.seconds, 3),
            _number(s.ratio, 2),
        )
        for s in league.standings
    ]
    return Table(columns, tuple(rows), labels=2)


def digits_table(report: Report, league: League) -> Table:
    """Digits right, median / minimum, by engine and kind of quantity."""
    digits = digits_of(report)
    rows = []
    for standing in league.standings:
        if standing.engine not in digits.engines:
            continue
        at = digits.engines.index(standing.engine)
        pairs = zip(digits.median[at], digits.least[at], strict=True)
        cells = ["-" if math.isnan(m) else f"{m:.1f} / {low:.1f}" for m, low in pairs]
        rows.append((standing.engine, *cells))
    return Table(("engine", *digits.kinds), tuple(rows))


def ability_table(league: League) -> Table:
    """Criteria by engine and kind of model."""
    rows = [
        (
            s.engine,
            *(" ".join(league.abilities[s.engine, kind]) or "-" for kind in KINDS_OF_MODELS),
            f"{s.fitted} of {s.fitted + s.failed + s.unsupported}",
        )
        for s in league.standings
    ]
    return Table(("engine", *KINDS_OF_MODELS, "models"), tuple(rows))


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}g}"
