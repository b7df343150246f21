"""Wheels of statsmodels with one fault each, made from a real one."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MODEL = "regression/mixed_linear_model.py"
OPTIMIZER = "base/optimizer.py"


@dataclass(frozen=True)
class Fault:
    """One change of one line, and how a report should name it."""

    name: str
    file: str
    right: str
    wrong: str
    kind: str
    subject: str


FAULTS = (
    Fault(
        "sign of the predicted effects", MODEL,
        "xtvir[0:k_re] = np.dot(self.cov_re, xtvir[0:k_re])",
        "xtvir[0:k_re] = -np.dot(self.cov_re, xtvir[0:k_re])",
        "value", "blup",
    ),
    Fault(
        "tolerance of bfgs", OPTIMIZER,
        "gtol = kwargs.setdefault('gtol', 1.0000000000000001e-05)",
        "gtol = kwargs.setdefault('gtol', 1e-02)",
        "value", "random_cov",
    ),
    Fault(
        "keyword of lbfgs dropped", OPTIMIZER,
        "names = ('m', 'pgtol', 'factr',", "names = ('m', 'factr',",
        "keyword", "keyword pgtol of lbfgs",
    ),
    Fault(
        "residual variance over N under REML", MODEL,
        "qf /= (self.n_totobs - self.k_fe)", "qf /= self.n_totobs",
        "value", "sigma",
    ),
    Fault(
        "constant of the restricted likelihood", MODEL,
        "likeval -= (self.n_totobs - self.k_fe) * np.log(2 * np.pi) / 2.",
        "likeval -= self.n_totobs * np.log(2 * np.pi) / 2.",
        "value", "loglik",
    ),
    Fault(
        "always converged", MODEL,
        "results.converged = converged", "results.converged = True",
        "flag", "converged=True at numbers that are off",
    ),
    Fault(
        "silent where the gradient is not zero", MODEL,
        'msg = "Gradient optimization failed, |grad| = %f" % gn\n            warnings.warn(msg, ',
        'msg = "Gradient optimization failed, |grad| = %f" % gn\n            isinstance(msg, ',
        "warning", "Gradient optimization failed, |grad| = #",
    ),
    Fault(
        "sign of the score", MODEL,
        "scr += score_full[i] * v", "scr -= score_full[i] * v",
        "probe", "score where the factor is positive",
    ),
)  # fmt: skip


_SCORE = """        if type(params) is not MixedLMParams:
            params = MixedLMParams.from_packed(
                params, self.k_fe, self.k_re, self.use_sqrt, has_fe=False
            )

        if profile_fe:
            params.fe_params, sing = self.get_fe_params(params.cov_re, params.vcomp)

            if sing:
                msg = "Random effects covariance is singular"
                warnings.warn(msg, SingularMatrixWarning, stacklevel=2)

        if self.use_sqrt:
            score_fe, score_re, score_vc = self.score_sqrt(
                params, calc_fe=not profile_fe
            )
"""
MENDED = Fault(
    "score with the sign of the factor it was asked at", MODEL, _SCORE,
    "        asked = None if type(params) is MixedLMParams else np.asarray(params)\n"
    f"{_SCORE}"
    """            if asked is not None:
                row, column = np.tril_indices(self.k_re)
                signs = np.where(asked[: self.k_re2][row == column] < 0, -1.0, 1.0)
                score_re = score_re * signs[column]
                score_vc = score_vc * np.where(asked[self.k_re2 :] < 0, -1.0, 1.0)
""",
    "probe", "score where the factor is negative",
)  # fmt: skip
"""No fault but a repair: score_sqrt() factors the covariance anew, so the factor it differentiates
by has a positive diagonal, whatever the sign of the one that the optimiser asked at. A factor L is
C S with C = chol(LL') and S the signs of its diagonal, so dl/dL = dl/dC S."""

END = "results.converged = converged"
DEAD = {
    "0.14.7.dev91": Fault(
        "does not import", "__init__.py",
        "debug_warnings = False", "raise ImportError('libgone.so.3: no such file')",
        "start", "does not load: ImportError: libgone.so.3: no such file",
    ),
    "0.14.7.dev92": Fault(
        "hangs", MODEL,
        END, f"while True: pass\n        {END}",
        "start", "no model got an answer: stopped after 20 s",
    ),
    "0.14.7.dev93": Fault(
        "crashes", MODEL,
        END, f"import ctypes; ctypes.string_at(0)\n        {END}",
        "start", "no model got an answer: its process died: signal 11 (SIGSEGV)",
    ),
}  # fmt: skip
"""By version: what takes no part; `subject` is how the report says why."""


def original(folder: Path, version: str) -> Path:
    """The released wheel."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "-d", str(folder), f"statsmodels=={version}"], check=True)
    (found,) = folder.glob(f"statsmodels-{version}-*.whl")
    return found


def repacked(wheel: Path, folder: Path, version: str, fault: Fault | None = None) -> Path:
    """The same wheel under another version number, with a fault or without; RECORD made anew."""
    folder.mkdir()
    _wheel("unpack", str(wheel), "-d", str(folder))
    (unpacked,) = folder.iterdir()
    old = unpacked.name.partition("-")[2]
    for name in (f"statsmodels-{old}.dist-info/METADATA", "statsmodels/_version.py"):
        path = unpacked / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, version), encoding="utf-8")
    (unpacked / f"statsmodels-{old}.dist-info").rename(
        unpacked / f"statsmodels-{version}.dist-info"
    )
    if fault is not None:
        path = unpacked / "statsmodels" / fault.file
        text = path.read_text(encoding="utf-8")
        assert fault.right in text, f"{fault.name}: the line is not there"
        path.write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")
    _wheel("pack", str(unpacked), "-d", str(folder))
    (found,) = folder.glob("*.whl")
    assert re.match(rf"statsmodels-{re.escape(version)}-", found.name)
    return found


def _wheel(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "wheel", *arguments], check=True, capture_output=True)
