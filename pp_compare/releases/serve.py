"""Answers calls in the environment of a candidate, which has nothing of this project but this file.

    python -I serve.py ADAPTER.py

ADAPTER.py is a file with the function ``about()``, which gives versions by package, and with those
that are called. Protocol 1: JSON, one line a message, in through standard input and out through
standard output. The first line out is ``{"protocol": 1, "about": ...}`` or, where the adapter does
not load, ``{"protocol": 1, "error": TEXT}``; then for each line in, ``{"call": NAME, "arguments":
[...]}``, one out: ``{"answer": VALUE}`` or ``{"error": TEXT}``. Arrays travel as base64, so that
doubles keep their bits.

The other end is `pp_compare.releases.session`, which encodes and decodes with the functions here.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

PROTOCOL = 1
KINDS = {"f8": "<f8", "i8": "<i8"}


def encode(value: Any) -> Any:
    """A value as JSON: numbers, text, None, lists, mappings with text keys, arrays of numbers.

    Raises
    ------
    TypeError
        For a value of another kind.
    """
    if isinstance(value, Mapping):
        return {"map": {key: encode(item) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, (str, bool, int, float, type(None))):
        return value
    if hasattr(value, "dtype") and value.dtype.kind in "fiub":
        kind = "f8" if value.dtype.kind == "f" else "i8"
        content = base64.b64encode(value.astype(KINDS[kind]).tobytes()).decode()
        return {kind: content, "shape": list(value.shape)}
    raise TypeError(f"a {type(value).__name__} has no form in the protocol")


def decode(value: Any) -> Any:
    """The value that `encode` wrote; arrays own their memory and can be written to."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "map" in value:
        return {key: decode(item) for key, item in value["map"].items()}
    # Here and not above: the adapter decides when numpy is loaded, and what it says of that.
    import numpy as np  # noqa: PLC0415

    (kind,) = set(value) & set(KINDS)
    flat = np.frombuffer(base64.b64decode(value[kind]), dtype=KINDS[kind])
    return flat.reshape(value["shape"]).astype(kind)


def load(path: str) -> Any:
    """The adapter as a module."""
    spec = importlib.util.spec_from_file_location("adapter", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def replies(path: str, lines: Iterable[str]) -> Any:
    """One message for the start and one for each line."""
    try:
        adapter = load(path)
        yield {"protocol": PROTOCOL, "about": adapter.about()}
    except BaseException as error:  # also what ends a process: the other end is to hear of it
        yield {"protocol": PROTOCOL, "error": _text(error)}
        return
    for line in lines:
        try:
            asked = json.loads(line)
            arguments = [decode(argument) for argument in asked["arguments"]]
            yield {"answer": encode(getattr(adapter, asked["call"])(*arguments))}
        except Exception as error:  # the candidate's, or ours: the other end shows it
            yield {"error": _text(error)}


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def main() -> None:
    """Serve until standard input ends."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # what the candidate prints must not get between the messages
        for reply in replies(sys.argv[1], sys.stdin):
            out.write(json.dumps(reply) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
