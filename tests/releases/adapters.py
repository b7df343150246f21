"""Adapters for workers that misbehave, and one that patches statsmodels where it runs."""

from __future__ import annotations

from pathlib import Path

from pp_compare.engines import mixedlm

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


def patched(folder: Path, patch: str) -> Path:
    """The adapter of statsmodels with lines run after it is loaded, like a faulty release."""
    source = Path(mixedlm.__file__).read_text(encoding="utf-8")
    return write(folder, f"{source}\n\n{patch}\n")
