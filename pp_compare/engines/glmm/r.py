"""glmer, glmmTMB and glmmPQL, called as their users call them, by the road that R is reached.

``glmer(cbind(s, f) ~ x + (1 | g), data, family = binomial)``; ``r/glmm.R`` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from pp_compare.engines import engine_id
from pp_compare.engines._r import (
    OFFSET,
    Answer,
    Request,
    Session,
    base_request,
    blup,
    covariance,
    fixed_names,
    group_column,
    prediction,
    random_cov,
    terms_of,
)
from pp_compare.engines.alignment import align
from pp_compare.engines.road import session
from pp_compare.engines.rscript import RscriptSession
from pp_compare.errors import EngineError, InputError, UnavailableError, quoted
from pp_compare.model import Fit
from pp_compare.model.answer import labelled
from pp_compare.model.glmm import GlmmDesign

TIGHT: Mapping[str, Any] = {
    "optimizer": ["bobyqa", "bobyqa"],
    "tolPwrss": 1e-13,
    "optCtrl": {"rhoend": 1e-10, "maxfun": 100_000.0},
}
"""Arguments of ``glmerControl()``. tolPwrss ends the inner iteration to the mode (1e-7 by default),
which on binary data leaves the criterion itself wrong by more than its optimiser is."""

SECONDS = 300.0
"""For one fit; R stops its own code then."""

MOST_NODES = 100


@dataclass(frozen=True)
class GlmmInR:
    """A function of ``r/glmm.R`` as an engine.

    Parameters
    ----------
    name, definition : str
    function : str
    session : Session
    control : mapping
        What is asked beyond the package's defaults.
    settings : mapping of str to str
        The same in words.
    one_term, one_intercept : bool
        Whether the package takes one random term only, and of it the intercept only.
    seconds : float
        For one fit; R stops its own code then.
    """

    name: str
    definition: str
    function: str
    session: Session
    control: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    one_term: bool = False
    one_intercept: bool = False
    seconds: float = SECONDS

    @property
    def road(self) -> str:
        """How R is reached."""
        return self.session.road

    def unsupported(self, design: GlmmDesign) -> str | None:
        """Why the package cannot express the model; None where it can."""
        blocks = design.design.blocks
        if self.one_term and len(blocks) > 1:
            return "glmmPQL takes one grouping factor, or nested ones, with one term"
        if self.one_intercept and (len(blocks) > 1 or len(blocks[0].columns) > 1):
            return "glmer takes nAGQ above 1 with a single random effect only"
        return None

    def fit(self, design: GlmmDesign) -> Fit:
        """Fit the model in R; an R error becomes a Fit with status ``"error"`` in R's words."""
        try:
            answer = self.session.call(self.function, self._request(design))
        except (EngineError, UnavailableError) as error:
            return Fit.failed(self.name, str(error), settings=self.settings)
        return self._read(design, answer)

    def _request(self, design: GlmmDesign) -> Request:
        inner = design.design
        request = base_request(inner) | {
            "family": design.family,
            "limit": self.seconds,
            "random": [
                {
                    "group": group_column(inner, block),
                    "intercept": block.term.intercept,
                    "terms": terms_of(inner, block.term.terms),
                }
                for block in inner.blocks
            ],
            "control": {"control": dict(self.control), "nAGQ": self._nodes},
        }
        if design.family == "binomial" and not design.binary:
            request["data"]["pp.success"] = design.y.astype(float)
            request["data"]["pp.failure"] = (design.trials - design.y).astype(float)
        if inner.offset is not None:
            request["data"][OFFSET] = np.ascontiguousarray(design.offset)
        return request

    @property
    def _nodes(self) -> float:
        return float(self.definition.partition(":")[2] or 1)

    def _read(self, design: GlmmDesign, answer: Answer) -> Fit:
        messages = tuple(dict.fromkeys(answer["messages"]))
        versions = dict(zip(answer["versions"]["names"], answer["versions"]["values"], strict=True))
        if "error" in answer:
            said = (*answer["error"], *messages)
            return Fit(self.name, "error", messages=said, settings=self.settings, versions=versions)
        return Fit(
            self.name,
            "ok",
            labelled(design.design, _values(design, answer)),
            converged=answer["converged"][0],
            singular=answer["singular"][0],
            messages=messages,
            settings=self.settings,
            versions=versions,
            seconds=float(answer["seconds"][0]),
            definition=self.definition,
            not_given={} if "loglik" in answer else {"loglik": "a quasi-likelihood has none"},
        )


def _values(design: GlmmDesign, answer: Answer) -> dict[str, np.ndarray]:
    inner = design.design
    names, wanted = answer["beta"]["names"], fixed_names(inner)
    p = len(names)
    values = {
        "beta": align(names, answer["beta"]["values"], wanted),
        "beta_cov": align(names, align(names, answer["beta_cov"].reshape(p, p), wanted).T, wanted),
        "beta_se": align(names, answer["beta_se"], wanted),
        **random_cov(inner, [covariance(inner, term) for term in answer["random"]]),
        **blup(inner, [prediction(inner, table) for table in answer["blup"]]),
    }
    if "loglik" in answer:
        values["loglik"] = np.array(answer["loglik"][0])
    return values


Reach = Callable[[str], Session]
"""Gives the R that has a package loaded, or raises UnavailableError."""


def glmm_in_r(engine: str, reach: Reach = session, seconds: float = SECONDS) -> GlmmInR:
    """An R engine of generalised models by its id, in this R or in another.

    ``lme4``, ``lme4:tight``, ``lme4:agq:10``, ``lme4:tight:agq:10``, ``glmmtmb``, ``glmmpql``.

    Raises
    ------
    InputError
        For another engine or setting.
    UnavailableError
        Without R or the package.
    """
    name, _, setting = engine.partition(":")
    if name == "lme4":
        return _glmer(setting, reach, seconds)
    if name not in ("glmmtmb", "glmmpql") or setting:
        known = "lme4, lme4:tight, lme4:agq:k, lme4:tight:agq:k, glmmtmb, glmmpql"
        raise InputError(
            f"no engine {quoted(engine)} of generalised models in R; those are {known}"
        )
    if name == "glmmtmb":
        function = "pp_fit_glmmtmb_family"
        return GlmmInR(name, "laplace", function, reach("glmmTMB"), seconds=seconds)
    return GlmmInR(name, "pql", "pp_fit_glmmpql", reach("MASS"), seconds=seconds, one_term=True)


def definition_of(engine: str) -> str:
    """Id of the criterion that an R engine says it solves; needs no R.

    Raises
    ------
    InputError
        For another engine or setting.
    """
    return glmm_in_r(engine, _nowhere).definition


def _nowhere(package: str) -> Session:
    """An R that is asked for nothing."""
    return RscriptSession([package])


def _glmer(setting: str, reach: Reach, seconds: float) -> GlmmInR:
    rest, tight = setting, False
    if rest == "tight" or rest.startswith("tight:"):
        rest, tight = rest.removeprefix("tight").removeprefix(":"), True
    kind, _, nodes = rest.partition(":")
    if rest and not (kind == "agq" and nodes.isdigit() and 2 <= int(nodes) <= MOST_NODES):
        raise InputError(
            f"lme4 has no setting {quoted(setting)} for generalised models; there are: tight, "
            f"agq:k with 2 to {MOST_NODES} nodes, tight:agq:k"
        )
    settings = {"control": ", ".join(f"{k}={v}" for k, v in TIGHT.items())} if tight else {}
    if rest:
        settings["nAGQ"] = nodes
    return GlmmInR(
        engine_id("lme4", setting or None),
        rest or "laplace",
        "pp_fit_glmer",
        reach("lme4"),
        TIGHT if tight else {},
        settings,
        one_intercept=bool(rest),
        seconds=seconds,
    )


def make_glmer(setting: str | None) -> GlmmInR:
    """``lme4`` with a setting; raises as `glmm_in_r`."""
    return glmm_in_r(engine_id("lme4", setting))


def make_glmmtmb() -> GlmmInR:
    """``glmmtmb``; UnavailableError without R or glmmTMB."""
    return glmm_in_r("glmmtmb")


def make_glmmpql() -> GlmmInR:
    """``glmmpql``; UnavailableError without R or MASS."""
    return glmm_in_r("glmmpql")


def glmm_fits(
    command: Sequence[str], tasks: Sequence[tuple[str, GlmmDesign]], seconds: float = SECONDS
) -> Iterator[Fit]:
    """Fit many models in one R that a command starts, started anew only where it dies.

    Parameters
    ----------
    command : sequence of str
        As for `RscriptSession`.
    tasks : sequence of (engine id, GlmmDesign)
    seconds : float
        Elapsed time after which R stops a fit; in compiled code it is killed a little later.

    Yields
    ------
    Fit
        Of each task in turn, as soon as it is there.

    Raises
    ------
    InputError
        For an unknown engine or setting.
    UnavailableError
        Where the command does not start an R that can answer, or has not the package.
    """
    with RscriptSession(command, seconds) as started:

        @cache
        def reach(package: str) -> Session:
            started.require(package)
            return started

        for name, design in tasks:
            engine = glmm_in_r(name, reach, seconds)
            reason = engine.unsupported(design)
            yield Fit.unsupported(name, reason) if reason else engine.fit(design)
