"""Self-contained pages: templates filled with escaped text, nothing loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pp_compare.report.verbatim import visible

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, script: str = "", data: object = None, **values: Any) -> str:
    """Fill a template into a whole page.

    Everything is escaped but what is `Markup`. The page's policy lets its own script run, by its
    checksum, and no other: text from data that got past the escaping would still not run.

    Parameters
    ----------
    template : str
        File of ``templates/``.
    script : str
        Files of ``templates/``, apart by a space, put into the page one after the other.
    data : object, optional
        Goes into the page as JSON for the script.
    values
        What the template names.
    """
    code = "".join(_read(name) for name in script.split())
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    if data is not None:
        values["data"] = _json(data)
    return (
        _environment()
        .get_template(template)
        .render(
            css=Markup(_read("page.css")),  # noqa: S704  # our own file
            script=Markup(code),  # noqa: S704  # our own file
            script_hash=f"'sha256-{digest}'" if code else "'none'",
            **values,
        )
    )


def trusted(svg: str) -> Markup:
    """Our own SVG, whose texts matplotlib has escaped."""
    return Markup(svg)  # noqa: S704  # what this function is for


def _json(data: object) -> Markup:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  # escaped here, for a script element


@cache
def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _shown(value: object) -> object:
    """Text of the data with its control characters spelt out: HTML allows none of them."""
    of_data = isinstance(value, str) and not isinstance(value, Markup)
    return visible(str(value)) if of_data else value


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        finalize=_shown,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
