"""Fits of generalised mixed models that were recorded earlier, played back where there is no R.

They stand beside those of linear models, in the folder ``glmm`` of a stack, with a provenance of
their own; a fit is played back only for the data, the model and the design it was recorded for.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache

import numpy as np

from pp_compare.engines.recorded import PROVENANCE, Key, References, design_sha256, model_key
from pp_compare.errors import InputError, quoted
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign
from pp_compare.resources import resource

FOLDER = "glmm"
"""Of a stack, with the records of its generalised models."""


@dataclass(frozen=True)
class RecordedGlmm:
    """Plays back the fits of one engine of one stack.

    Parameters
    ----------
    name : str
        Engine id of the Fits.
    engine_id : str
        The engine that was recorded, with its setting.
    references : References
    """

    name: str
    engine_id: str
    references: References

    @property
    def definition(self) -> str:
        """Id of the criterion that the engine says it solves."""
        found: str = self.references.provenance["definitions"][self.engine_id]
        return found

    def unsupported(self, design: GlmmDesign) -> str | None:
        """Why there is nothing to play back; None where there is."""
        return self.references.why_not(glmm_key(design))

    def fit(self, design: GlmmDesign) -> Fit:
        """The recorded Fit, which has no seconds; a failed one where its file was changed."""
        return self.references.fit(self.name, self.engine_id, glmm_key(design))


def make(setting: str | None) -> RecordedGlmm:
    """Engine factory for ``recorded:STACK/ENGINE``, as in ``recorded:sid/lme4:agq:10``.

    Raises
    ------
    InputError
        For a stack or an engine that is not recorded, with those that are.
    """
    stack, _, engine_id = (setting or "").partition("/")
    if not engine_id:
        known = ", ".join(f"recorded:{name}/lme4" for name in glmm_stacks())
        raise InputError(f"say which stack and which engine to play back: {known}")
    if stack not in glmm_stacks():
        known = ", ".join(glmm_stacks())
        raise InputError(
            f"no stack {quoted(stack)} has generalised models recorded; there are: {known}"
        )
    references = _references(stack)
    references.require(engine_id)
    return RecordedGlmm(f"recorded:{stack}/{engine_id}", engine_id, references)


def glmm_stacks() -> tuple[str, ...]:
    """Names of the stacks that have generalised models recorded, sorted."""
    folder = resource("fixtures", "references")
    return tuple(sorted(p.parent.parent.name for p in folder.glob(f"*/{FOLDER}/{PROVENANCE}")))


@cache
def _references(stack: str) -> References:
    return References(resource("fixtures", "references", stack, FOLDER), stack)


def glmm_key(design: GlmmDesign) -> Key:
    """The key of a generalised mixed model: family, parts of the formula, response and rows."""
    inner = design.design
    method = f"{design.family}({design.link})"
    digest = hashlib.sha256(design_sha256(inner).encode())
    for numbers in (design.y, design.trials, design.offset):
        digest.update(" ".join(np.char.mod("%.11e", numbers + 0.0)).encode())
    return Key(
        inner.dataset.sha256(),
        json.dumps([method, model_key(inner.spec)]),
        digest.hexdigest(),
        design.formula,
        method,
        f"'{design.formula}', {method}, on these data ({inner.dataset.name})",
    )
