"""Tests and intervals of the fixed effects: each with its definition, so none is taken for another.

Our own values stand at the certified optimum of any model of the grammar; they are made in balls
(`approximations`) and rounded at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

import numpy as np

from pp_compare.certified.equations.krawczyk import NotProvedError
from pp_compare.certified.inference import OptimumInference
from pp_compare.certified.models import CertifiedModel, DegenerateModelError, certified_model
from pp_compare.engines import make_engine
from pp_compare.inferences.containment import containment_df
from pp_compare.inferences.likelihood_ratio import likelihood_ratio
from pp_compare.inferences.marginal import contrast_rows, least_squares, marginal_rows
from pp_compare.inferences.table import LEVEL, Estimate, InferenceTable, by_f, by_t
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.verdict.definitions import joint_hessian_cov

Rows = Mapping[str, np.ndarray]
"""Linear combinations of the fixed effects, (p,) each, by name."""

JOINT = 2_000
"""Random effects up to which the joint information is formed, from dense matrices of that size."""
PROFILED = 20_000
"""Levels times squared fixed effects up to which intervals are profiled: some seconds."""


class ModelInference:
    """Our own values for one model, at its certified optimum.

    Parameters
    ----------
    design : Design
    model : CertifiedModel, optional
        Of the same design, where it is there already.

    Attributes
    ----------
    remarks : list of str
        What is on the boundary, and what is not defined and why.

    Raises
    ------
    DegenerateModelError
        Where the criterion has no optimum, or does not identify the variances.
    UnavailableError
        Where the model has more parameters than can be handled.
    """

    def __init__(self, design: Design, model: CertifiedModel | None = None) -> None:
        self.design, self.model = design, model or certified_model(design)
        if self.model.existence.kind != "unique":
            raise DegenerateModelError(self.model.existence.sentence)
        self.optimum = OptimumInference(design, self.model)
        self.reml = design.spec.method == "REML"
        self.remarks = list(self._boundary())

    @cached_property
    def singular(self) -> bool:
        """Whether the optimum lies on the boundary."""
        return self.optimum.singular

    @property
    def satterthwaite_id(self) -> str:
        """The definition that Satterthwaite's lines have at this optimum."""
        return "satterthwaite-face" if self.singular else "satterthwaite"

    def tables(self) -> list[InferenceTable]:
        """Every definition that applies."""
        rows = dict(zip(self.design.labels, np.eye(len(self.design.labels)), strict=True))
        lines = {
            "containment": self._containment(),
            "profile": self._profile(),
            **self.term_tests(),
            "explained": self._explained(),
            "likelihood-ratio": likelihood_ratio(self.design),
        }
        other = [
            InferenceTable(d, "certified", tuple(found)) for d, found in lines.items() if found
        ]
        return [*self.of_rows(rows), *other]

    def of_rows(self, rows: Rows, kind: str = "") -> list[InferenceTable]:
        """Linear combinations of the fixed effects by all ways there are.

        Parameters
        ----------
        rows : mapping of str to (p,) ndarray
        kind : str
            Before the name of each way in the definition's.
        """
        ways: dict[str, Callable[[str, np.ndarray], Estimate]] = {
            "asymptotic" if kind else "wald": self.wald
        }
        if self.reml:
            ways["kenward-roger"] = self.kenward_roger
            if self.singular and not kind:
                ways["kenward-roger-face"] = self.kenward_roger_face
        ways[self.satterthwaite_id] = self.satterthwaite
        found = ((name, self._attempt(name, way, rows)) for name, way in ways.items())
        return [InferenceTable(kind + name, "certified", lines) for name, lines in found if lines]

    def wald(self, term: str, row: np.ndarray) -> Estimate:
        """One linear combination with the variances taken as known."""
        return by_t(term, *self.optimum.estimate(row), np.inf)

    def kenward_roger(self, term: str, row: np.ndarray) -> Estimate:
        """One linear combination by Kenward and Roger (1997), all elements counted."""
        estimate, _ = self.optimum.estimate(row)
        return by_t(term, estimate, *self.optimum.kenward_roger(row))

    def kenward_roger_face(self, term: str, row: np.ndarray) -> Estimate:
        """The same without the random effects whose variance is 0."""
        estimate, _ = self.optimum.estimate(row)
        return by_t(term, estimate, *self.optimum.kenward_roger(row, held=True))

    def satterthwaite(self, term: str, row: np.ndarray) -> Estimate:
        """One linear combination with Satterthwaite's df, along the face of the optimum."""
        return by_t(term, *self.optimum.estimate(row), self.optimum.satterthwaite(row))

    def _attempt(
        self, name: str, way: Callable[[str, np.ndarray], Estimate], rows: Rows
    ) -> tuple[Estimate, ...]:
        try:
            return tuple(way(term, row) for term, row in rows.items())
        except NotProvedError as reason:
            self._remark(f"{name} is not defined here: {reason}")
            return ()

    def _remark(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)

    def term_tests(self) -> dict[str, list[Estimate]]:
        """F tests that all coefficients of a term are 0, by definition."""
        names = {"f:" + self.satterthwaite_id: "satterthwaite"}
        if self.reml:
            names["f:kenward-roger"] = "kenward-roger"
        tests = term_rows(self.design)
        return {
            name: [self._f(name, way, term, L) for term, L in tests.items()]
            for name, way in names.items()
        }

    def _f(self, name: str, way: str, term: str, L: np.ndarray) -> Estimate:
        try:
            statistic, df = self.optimum.f(way, L)
        except NotProvedError as reason:
            self._remark(f"{name} of {term} is not defined here: {reason}")
            return Estimate(term, df_above=float(len(L)))
        return by_f(term, statistic, len(L), df)

    def _containment(self) -> list[Estimate]:
        df, n = containment_df(self.design), self.design.n_obs
        if df is None:
            self._remark(
                "containment is not defined here: the grouping factors are not nested, so a column "
                "has no one level"
            )
            return []
        inflation = 1.0 if self.reml else np.sqrt(n / (n - len(df)))
        rows = zip(self.design.labels, np.eye(len(df)), df.tolist(), strict=True)
        found = []
        for label, row, of_level in rows:
            estimate, se = self.optimum.estimate(row)
            # A level that leaves nothing gives no test: nlme prints NaN.
            found.append(
                by_t(label, estimate, se * inflation, of_level if of_level > 0 else np.nan)
            )
        return found

    def _profile(self) -> list[Estimate]:
        labels, levels = self.design.labels, self.optimum.levels
        if levels * len(labels) ** 2 > PROFILED:
            self._remark(
                f"profile intervals are left out: {levels} levels and {len(labels)} fixed effects "
                "would take long"
            )
            return []
        found = (self.optimum.profile(k, LEVEL) for k in range(len(labels)))
        return [
            Estimate(label, one.estimate, lower=one.lower, upper=one.upper)
            for label, one in zip(labels, found, strict=True)
        ]

    def _explained(self) -> list[Estimate]:
        if self.design.weights is not None:
            self._remark("R2 is not defined here: with weights there is no one residual variance")
            return []
        fit = self.model.optimum.quantities
        fixed = float(np.var(self.design.X @ fit["beta"].values, ddof=1))
        sigma2 = float(fit["sigma"].values) ** 2
        covariances = self.design.by_block(
            {group: fit[f"random_cov[{group}]"].values for group in self.design.group_levels}
        )
        between = sum(
            float(np.einsum("ij,jk,ik->i", block.Z, cov, block.Z).mean())
            for block, cov in zip(self.design.blocks, covariances, strict=True)
        )
        total = fixed + between + sigma2
        return [
            Estimate("ICC", between / (between + sigma2)),
            Estimate("marginal R2", fixed / total),
            Estimate("conditional R2", (fixed + between) / total),
        ]

    def _boundary(self) -> Iterator[str]:
        """What is on the boundary, and which derivatives are taken there."""
        names = list(on_boundary(self))
        if names:
            yield (
                f"The optimum lies on the boundary: {'; '.join(names)}. kenward-roger counts these "
                "elements all the same, as pbkrtest does; satterthwaite-face holds them where they "
                "are, as lmerTest's derivatives at a theta of 0 do. satterthwaite itself is not "
                "defined there: off the boundary the deviance has a slope."
            )
        if self.model.optimum.claim == "none":
            yield f"Nothing is proved of the optimum: {self.model.optimum.reason}"


def on_boundary(inference: ModelInference) -> Iterator[str]:
    """Each random effect that is 0 or a multiple of others at the optimum, in words."""
    for index, row, alone in inference.optimum.boundary():
        block = inference.design.blocks[index]
        name = f"{block.labels[row]} by {block.group}"
        yield f"the variance of {name} is 0" if alone else f"{name} is a multiple of others"


def term_rows(design: Design) -> dict[str, np.ndarray]:
    """The coefficients of each term of the fixed part, (l, p) by the term's name; no intercept."""
    identity = np.eye(len(design.labels))
    found: dict[str, list[np.ndarray]] = {}
    for column, row in zip(design.columns, identity, strict=True):
        name = ":".join(part.variable for part in column.factors)
        if name:
            found.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in found.items()}


def joint_wald(fit: Fit) -> InferenceTable:
    """Wald z with the standard errors that statsmodels reports."""
    beta, se = fit.quantities["beta"], fit["beta_se"]
    lines = zip(beta.rows, beta.values.tolist(), se.tolist(), strict=True)
    return InferenceTable(
        "joint-wald", fit.engine, tuple(by_t(label, b, s, np.inf) for label, b, s in lines)
    )


def own_joint_wald(design: Design) -> list[InferenceTable]:
    """The same at the certified optimum; none where its matrices would be large or singular."""
    size = sum(len(block.levels) * len(block.columns) for block in design.blocks)
    if size > JOINT:
        return []
    fit = make_engine("certified").fit(design)
    if fit.status != "ok":
        return []
    try:
        cov = joint_hessian_cov(design, fit, fit["beta_cov"])
    except np.linalg.LinAlgError:
        return []
    with np.errstate(invalid="ignore"):
        se = np.sqrt(np.diag(cov))
    lines = zip(design.labels, fit["beta"].tolist(), se.tolist(), strict=True)
    found = tuple(by_t(label, b, s, np.inf) for label, b, s in lines)
    return [InferenceTable("joint-wald", "certified", found)]


def own_inference(
    design: Design, means: str | None = None, model: CertifiedModel | None = None
) -> tuple[list[InferenceTable], list[str]]:
    """Our own tables, with marginal means of a factor where one is named, and remarks."""
    own = ModelInference(design, model)
    found = own.tables()
    if means is not None:
        rows = marginal_rows(design, means)
        for kind, chosen in (("means:", rows), ("contrasts:", contrast_rows(rows))):
            if design.weights is None:
                lm = tuple(least_squares(design, x, row) for x, row in chosen.items())
                found.append(InferenceTable(kind + "lm", "numpy", lm))
            found += own.of_rows(chosen, kind)
    return found, own.remarks
