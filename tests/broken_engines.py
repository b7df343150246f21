"""Engines that do what real ones do on a bad day. Each factory takes the setting and ignores it."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pp_compare.engines.certified import CertifiedEngine
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design


@dataclass(frozen=True)
class Broken:
    """An engine whose fit is a given function."""

    name: str
    answer: Callable[[Design], Fit]

    def unsupported(self, design: Design) -> str | None:
        return None

    def fit(self, design: Design) -> Fit:
        return self.answer(design)


def hangs_in_compiled_code(_: str | None) -> Broken:
    """One call into a library that never comes back and never looks for a signal."""

    def answer(_: Design) -> Fit:
        ctypes.PyDLL(None).sleep(3600)  # holds the interpreter's lock
        raise AssertionError

    return Broken("hangs", answer)


def hangs_in_python(_: str | None) -> Broken:
    def answer(_: Design) -> Fit:
        time.sleep(3600)
        raise AssertionError

    return Broken("hangs", answer)


def crashes(_: str | None) -> Broken:
    def answer(_: Design) -> Fit:
        ctypes.string_at(0)
        raise AssertionError

    return Broken("crashes", answer)


def dies_afterwards(_: str | None) -> Broken:
    """The process goes away when no fit runs in it, as one that the system kills does."""

    def answer(design: Design) -> Fit:
        threading.Timer(0.5, os._exit, (9,)).start()
        return CertifiedEngine().fit(design)

    return Broken("dies", answer)


def perturbed(
    quantity: str, change: Callable[[np.ndarray], np.ndarray]
) -> Callable[[str | None], Broken]:
    """The certified engine with one quantity changed."""

    def factory(_: str | None) -> Broken:
        def answer(design: Design) -> Fit:
            return altered(CertifiedEngine().fit(design), quantity, change)

        return Broken("perturbed", answer)

    return factory


def altered(fit: Fit, quantity: str, change: Callable[[np.ndarray], np.ndarray]) -> Fit:
    """A copy of a Fit with one quantity changed."""
    old = fit.quantities[quantity]
    new = Quantity(old.name, change(old.values.copy()), old.rows, old.columns)
    return replace(fit, quantities={**fit.quantities, quantity: new})


def _first_up(values: np.ndarray) -> np.ndarray:
    values[0] *= 1 + 1e-6
    return values


one_coefficient_off = perturbed("beta", _first_up)
