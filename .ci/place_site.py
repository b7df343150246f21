"""Place a built site among its versions: ``python place_site.py SITE BRANCH VERSION [latest]``.

BRANCH is a folder with what is published, one folder a version; ``versions.json`` lists them as the
theme's version selector reads them, and the root leads to the newest release, or to the only one.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

LATEST = "latest"
HOME = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={}/">\n'


def main(site: Path, branch: Path, version: str, alias: str = "") -> None:
    """Copy the site under its version, under its alias, and write the list."""
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.]*", version):
        sys.exit(f"'{version}' is no version")
    for name in filter(None, (version, alias)):
        shutil.rmtree(branch / name, ignore_errors=True)
        shutil.copytree(site, branch / name)
    listed = branch / "versions.json"
    known = json.loads(listed.read_text()) if listed.exists() else []
    others = [entry for entry in known if entry["version"] != version]
    if alias:
        others = [{**entry, "aliases": []} for entry in others]
    new = {"version": version, "title": version, "aliases": [alias] if alias else []}
    listed.write_text(json.dumps(sorted([new, *others], key=order, reverse=True), indent=1) + "\n")
    home = LATEST if (branch / LATEST).is_dir() else version
    (branch / "index.html").write_text(HOME.format(home))
    (branch / ".nojekyll").touch()


def order(entry: dict[str, str]) -> tuple[int, ...]:
    """Numbers of a release; ``dev`` is above all."""
    numbers = re.findall(r"\d+", entry["version"])
    return tuple(map(int, numbers)) if numbers else (sys.maxsize,)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
