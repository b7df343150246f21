"""When a release came out, from the package index: its companions are those of its own time."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

PYPI = "https://pypi.org/simple"
MARGIN = timedelta(days=30)
"""After the last file of a release: companions that appeared with it, not those that broke it."""

SECONDS = 30.0
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html"
KNOWN = {
    "0.13.5": date(2022, 12, 15),
    "0.14.0": date(2023, 6, 15),
    "0.14.4": date(2024, 11, 1),
    "0.14.6": date(2026, 1, 10),
}
"""Of statsmodels, for an index that gives no times: the installation and the import were tried."""


def companions_date(package: str, version: str, index: str = PYPI) -> date | None:
    """The day up to which packages belong to a release's time; None where nobody knows."""
    try:
        times = [time for file, time in _files(package, index) if _is_of(file, package, version)]
    except (OSError, ValueError):
        times = []
    if times:
        return (max(times) + MARGIN).date()
    return KNOWN.get(version) if canonicalize_name(package) == "statsmodels" else None


def _files(package: str, index: str) -> Iterator[tuple[str, datetime]]:
    """Names of the files of a project with the times of their upload (PEP 503, 691, 700)."""
    url = f"{index.rstrip('/')}/{canonicalize_name(package)}/"
    if not url.startswith("https://"):
        raise ValueError(f"{url} is not https")
    request = urllib.request.Request(url, headers={"Accept": ACCEPT})  # noqa: S310  # https, above
    with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310  # https, above
        text = response.read().decode()
        if "json" in response.headers.get("Content-Type", ""):
            found = [(f["filename"], f.get("upload-time")) for f in json.loads(text)["files"]]
        else:
            page = _Page()
            page.feed(text)
            found = page.files
    for name, time in found:
        if time:
            # Python 3.11 reads seven or more decimals, and a Z, too.
            yield name, datetime.fromisoformat(time).astimezone(UTC)


class _Page(HTMLParser):
    """Links of a project page; some indexes give ``data-upload-time`` with them."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link."""
        found = dict(attrs)
        if tag == "a" and found.get("href"):
            name = re.sub(r"[#?].*", "", found["href"] or "").rsplit("/", 1)[-1]
            self.files.append((name, found.get("data-upload-time")))


def _is_of(file: str, package: str, version: str) -> bool:
    try:
        name, found = (
            parse_wheel_filename(file)[:2] if file.endswith(".whl") else parse_sdist_filename(file)
        )
        return name == canonicalize_name(package) and found == Version(version)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return False
