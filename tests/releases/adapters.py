"""Adapters for workers that misbehave, and one with a closed form."""

from __future__ import annotations

from pathlib import Path

PLAIN = """
import os, sys, time, warnings

def about():
    return {"toy": "1.0"}

def echo(value):
    return value

def die():
    print("last words", file=sys.stderr, flush=True)
    os.kill(os.getpid(), 11)

def leave():
    os._exit(3)

def hang():
    time.sleep(1000)

def chatter():
    for _ in range(100000):
        print("noise" * 20)
        print("noise" * 20, file=sys.stderr)
    return "done"

def odd():
    return object()
"""
"""A worker's functions, good and bad."""


def write(folder: Path, text: str) -> Path:
    path = folder / "adapter.py"
    path.write_text(text, encoding="utf-8")
    return path


ANOVA = """
import numpy as np

def about():
    return {"toy": "1.0"}

def fit(request):
    y, (block,) = request["y"], request["blocks"]
    table = y.reshape(len(block["levels"]), -1)
    (m, n), mean = table.shape, table.mean()
    within = ((table - table.mean(1, keepdims=True)) ** 2).sum() / (m * (n - 1))
    between = n * ((table.mean(1) - mean) ** 2).sum() / (m - 1)
    tau2 = (between - within) / n
    shrunk = tau2 / (tau2 + within / n) * (table.mean(1) - mean)
    variance = np.array([[between / (m * n)]])
    return {
        "status": "ok", "problem": "", "warnings": [], "converged": True, "seconds": 0.1,
        "quantities": {
            "beta": np.array([mean]), "beta_cov": variance, "beta_se": np.sqrt(variance[0]),
            "sigma": np.sqrt(within), f"random_cov[{block['group']}]": np.array([[tau2]]),
            f"blup[{block['group']}]": shrunk[:, None],
        },
    }
"""
"""REML for balanced one-way data, sorted by group, in closed form."""
