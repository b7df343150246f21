"""Engines that end or hold their process on the data sets whose number ends in 3."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pp_compare.certified.models import certified_model
from pp_compare.engines.certified import CertifiedEngine
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design


@dataclass(frozen=True)
class Trap:
    """The certified engine, apart from what it does on some data sets."""

    name: str
    spring: Callable[[], object]

    def unsupported(self, design: Design) -> str | None:
        return None

    def fit(self, design: Design) -> Fit:
        if design.dataset.name.endswith("3"):
            self.spring()
        return CertifiedEngine(self.name).fit(design)


def sound(_: str | None) -> Trap:
    return Trap("sound", lambda: None)


def crashes(_: str | None) -> Trap:
    return Trap("crashes", lambda: ctypes.string_at(0))


def exits(_: str | None) -> Trap:
    """Ends the process with a status, as some libraries do on an error of theirs."""
    return Trap("exits", lambda: ctypes.CDLL(None)._exit(7))


def hangs(_: str | None) -> Trap:
    """One call into a library that holds the interpreter's lock and heeds no signal."""
    return Trap("hangs", lambda: ctypes.PyDLL(None).sleep(3600))


def hangs_in_blas(_: str | None) -> Trap:
    """One matrix product of half a minute: numpy makes it one call of dgemm."""
    return Trap("hangs in BLAS", lambda: np.ones((8000, 8000)) @ np.ones((8000, 8000)))


def hangs_in_r(_: str | None) -> Trap:
    return Trap("hangs in R", lambda: _in_r("while (TRUE) {}"))


def crashes_in_r(_: str | None) -> Trap:
    return Trap("crashes in R", lambda: _in_r("tools::pskill(Sys.getpid(), tools::SIGSEGV)"))


def eats_in_r(_: str | None) -> Trap:
    return Trap("eats in R", lambda: _in_r("x <- 1; repeat x <- c(x, x)"))


def eats(_: str | None) -> Trap:
    """Takes memory, touched, until there is none."""

    def spring() -> None:
        held = []
        while True:
            held.append(np.ones(1_000_000))

    return Trap("eats", spring)


def _in_r(code: str) -> object:
    from pp_compare.engines._rpy2 import session

    return session("lme4")._r.evalr(code)


@dataclass(frozen=True)
class Short:
    """Stops at ten times the variance between clusters, and says that it has converged."""

    name: str = "short"

    def unsupported(self, design: Design) -> str | None:
        return None

    def fit(self, design: Design) -> Fit:
        model = certified_model(design)
        best = dict(model.optimum.quantities)
        group = f"random_cov[{design.blocks[0].group}]"
        cov = 10 * best[group].values + 1.0
        implied = model.implied(float(best["sigma"].values), {design.blocks[0].group: cov})
        labels = best[group].rows
        quantities = {**best, **implied, group: Quantity(group, cov, labels, labels)}
        return Fit(self.name, "ok", quantities, converged=True)


def short(_: str | None) -> Short:
    return Short()
