from __future__ import annotations

import json
import math
from typing import Any

import pytest

from pp_compare.report.plain import json_text, plain

VALUES = [
    {},
    [],
    [[], {}],
    {"a": [1.5, -0.0, 1e300, 5e-324], "b": ["x", 'say "no"\n', "\u00e4", ""], "c": {"d": None}},
    [True, None, 2, "t", 0.1],
    [1, [2, [3.5]], {"k": [{"l": []}]}],
    {"numbers": list(range(5)), "deep": {"deeper": {"deepest": [0.1, 0.2]}}},
]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_the_text_is_that_of_json(value: Any) -> None:
    assert json_text(value) == json.dumps(value, indent=1, ensure_ascii=False)


def test_what_json_cannot_hold_is_made_plain_wherever_it_stands() -> None:
    value = {"a": (1.0, math.nan), "b": [math.inf, "x"], "c": [[-math.inf]], 1: (1, True, None)}
    made = plain(value)
    assert made == {"a": [1.0, None], "b": ["inf", "x"], "c": [["-inf"]], "1": [1, True, None]}
    assert json.loads(json_text(made)) == made


def test_a_nan_that_was_left_is_an_error() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text({"a": [math.nan]})
