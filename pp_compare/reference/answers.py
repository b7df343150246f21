"""What engines answered to the models of the set, by version: recorded once, scored ever after.

A file of ``fixtures/reference/answers`` holds the answers of one engine in one version, doubles by
their shortest decimals. It is made by ``pp-compare reference FOLDER --record ENGINE``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pp_compare.engines import make_engine
from pp_compare.errors import PPCompareError
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.reference.items import all_items
from pp_compare.releases.candidate import Effort, PythonCandidate
from pp_compare.releases.environment import Recipe
from pp_compare.releases.named import choose_dialects, parse_sources, python_candidates
from pp_compare.releases.platform import pinned
from pp_compare.releases.store import cache_folder
from pp_compare.resources import resource, write_text

QUANTITIES = ("loglik", "beta", "beta_se", "sigma", "random_cov")
"""Kinds of quantities that are kept: what people report of a model."""
SECONDS = 120.0
"""Of one fit in another environment."""


@dataclass(frozen=True)
class Answers:
    """One engine in one version.

    Attributes
    ----------
    engine, version : str
    items : dict
        By id of the item: ``status``, ``message``, and ``values`` by quantity, row and column.
    """

    engine: str
    version: str
    items: dict[str, dict[str, Any]]

    @property
    def name(self) -> str:
        """As in the file's name and on the page."""
        return f"{self.engine.replace(':', '-')}-{self.version}"

    @cached_property
    def text(self) -> str:
        """As in the file: an item a line."""
        lines = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(self.items.items())]
        head = f'"engine": {json.dumps(self.engine)},\n"version": {json.dumps(self.version)}'
        return "{" + head + ',\n"items": {\n' + ",\n".join(lines) + "\n}}\n"


def recorded_answers() -> list[Answers]:
    """Those that were recorded, by name."""
    folder = resource("fixtures", "reference", "answers")
    read = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json")))
    return [Answers(**about) for about in read]


def record_answers(engine: str, folder: Path) -> Path:
    """Ask an engine that runs here, or a release as ``statsmodels==0.14.6``, and write its answers.

    Parameters
    ----------
    engine : str
        Engine id, ``recorded:trixie/lme4`` say, or a requirement of a release.
    folder : Path
        Where the file goes.

    Raises
    ------
    PPCompareError
        Where it does not start.
    """
    named = list(_designs())
    designs = [design for _, design in named]
    fits = list(_of_release(engine, designs) if "==" in engine else _live(engine, designs))
    answered = [fit for fit in fits if fit.versions]
    if not answered:
        raise PPCompareError(f"{engine} answered to none of {len(fits)} models")
    name = engine.partition("==")[0].rpartition("/")[2]
    version = answered[0].versions[name.partition(":")[0]]
    items = {key: _kept(fit) for (key, _), fit in zip(named, fits, strict=True)}
    known = {k: v for k, v in items.items() if v["message"] != NOT_RECORDED}
    answers = Answers(name, version, known)
    path = folder / f"{answers.name}.json"
    write_text(path, answers.text)
    return path


NOT_RECORDED = "not recorded"


def _designs() -> Iterator[tuple[str, Design]]:
    for item in all_items():
        if item.reading == "doubles":
            yield item.id, item.design


def _live(engine: str, designs: Iterable[Design]) -> Iterator[Fit]:
    one = make_engine(engine)
    for design in designs:
        reason = one.unsupported(design)
        if reason:
            recorded = engine.startswith("recorded:")
            yield Fit.unsupported(engine, NOT_RECORDED if recorded else reason)
        else:
            yield one.fit(design)


def _of_release(requirement: str, designs: list[Design]) -> Iterator[Fit]:
    package, _, version = requirement.partition("==")
    ((source, recipe),) = parse_sources([version], Recipe(package))
    with tempfile.TemporaryDirectory() as temporary:
        cache = cache_folder(None)[0] or Path(temporary)
        dialects = choose_dialects(package, None, None)
        for candidate in python_candidates(source, recipe, dialects, cache):
            if isinstance(candidate, PythonCandidate):
                yield from candidate.fits(designs, pinned(), Effort(SECONDS))


def _kept(fit: Fit) -> dict[str, Any]:
    message = next(iter(fit.messages), "")[:200]
    values = {
        name: [q.rows, q.columns, q.values.tolist()]
        for name, q in fit.quantities.items()
        if name.partition("[")[0] in QUANTITIES
    }
    return {"status": fit.status, "message": message, "values": values}
