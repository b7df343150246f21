"""Values that JSON can hold, and their text."""

from __future__ import annotations

import json
import math
from typing import Any


def plain(value: Any) -> Any:
    """A value of which JSON can hold every part: NaN as null, infinities as text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return list(value) if _is_plain(value) else [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def _is_plain(items: list[Any] | tuple[Any, ...]) -> bool:
    kinds = set(map(type, items))
    return kinds <= {int, str} or (kinds == {float} and all(map(math.isfinite, items)))


def json_text(value: Any) -> str:
    """What `json.dumps` gives of a plain value with an indent of 1, non-ASCII letters as they are.

    An indent makes `json` leave its C encoder, which takes a tenth of the time; of a list of
    numbers or texts, where the many are, that one does the work here, with the indent as separator.
    """
    return _indented(value, 1)


def _indented(value: Any, level: int) -> str:
    inside, outside = "\n" + " " * level, "\n" + " " * (level - 1)
    if isinstance(value, dict) and value:
        parts = [f"{_flat(key)}: {_indented(item, level + 1)}" for key, item in value.items()]
        return "{" + inside + f",{inside}".join(parts) + outside + "}"
    if isinstance(value, list) and value:
        if {dict, list} & set(map(type, value)):
            body = f",{inside}".join(_indented(item, level + 1) for item in value)
        else:
            body = _flat(value, f",{inside}")[1:-1]
        return "[" + inside + body + outside + "]"
    return _flat(value)


def _flat(value: Any, separator: str = ", ") -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(separator, ": "))
