"""A script that fits a model and prints its numbers, as a user of the engine would write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pp_compare.engines import lme4, nlme, statsmodels
from pp_compare.engines.source.names import R, used_columns
from pp_compare.engines.source.python import mixedlm_call
from pp_compare.engines.source.r import lme_call, lmer_call
from pp_compare.engines.source.table import python_data, r_data
from pp_compare.errors import InputError, quoted
from pp_compare.model.design import Design

MOST_ROWS = 200
"""Data of up to so many rows stand in a script; longer ones are read from a file."""


@dataclass(frozen=True)
class Script:
    """A script in its language, ``"python"`` or ``"r"``."""

    language: str
    text: str

    @property
    def suffix(self) -> str:
        """Of its file."""
        return ".py" if self.language == "python" else ".R"


def script_of(engine_id: str, design: Design) -> Script | str:
    """The script that fits a design as an engine does, or why there is none."""
    package, _, setting = engine_id.partition(":")
    try:
        match package:
            case "statsmodels":
                steps = statsmodels.with_setting(setting or None).steps
                return Script("python", _python(design, mixedlm_call(design, steps)))
            case "lme4":
                controls = tuple(lme4.dialect(setting or None).steps)
                return Script("r", _r(package, lmer_call(design, controls), design))
            case "nlme":
                _refuse_names(design)
                control = nlme.dialect(setting or None).control
                return Script("r", _r(package, lme_call(design, control), design))
    except (InputError, TypeError) as error:  # a setting that has no name, a function it has not
        return str(error)
    return f"how a script calls {package} is not known here"


def _refuse_names(design: Design) -> None:
    """Refuse names that lme() trips over: it pastes them, without backticks, into a formula."""
    odd = [name for name in used_columns(design) if R().word(name) != name]
    if odd:
        raise InputError(f"lme() takes no column called {quoted(odd[0])}, which is no plain word")


_PYTHON_SHOWN = """\
print("statsmodels", statsmodels.__version__)
print(fit.summary())
print("converged:", fit.converged)
print("log-likelihood:", float(fit.llf))
print("fixed effects:", fit.fe_params.to_dict())
print("their standard errors:", fit.bse_fe.to_dict())
print("covariance of the random effects:", fit.cov_re.values.tolist())
print("variance components:", fit.vcomp.tolist())
print("residual standard deviation:", float(fit.scale**0.5))"""

_R_SHOWN = {
    "lme4": """\
cat("lme4", as.character(packageVersion("lme4")), "\\n")
summary(fit)
options(digits = 15)
logLik(fit)
fixef(fit)
sqrt(diag(as.matrix(vcov(fit))))
as.data.frame(VarCorr(fit))
sigma(fit)""",
    "nlme": """\
cat("nlme", as.character(packageVersion("nlme")), "\\n")
summary(fit)
options(digits = 15)
logLik(fit)
fixef(fit)
summary(fit)$tTable[, "Std.Error"]
lapply(as.matrix(fit$modelStruct$reStruct), function(v) v * sigma(fit)^2)
sigma(fit)""",
}


def _python(design: Design, call: str) -> str:
    imports = {"import statsmodels", "import pandas as pd"}
    lines = call.splitlines()
    first = next(i for i, line in enumerate(lines) if not line.startswith(("import", "from")))
    imports |= set(lines[:first])
    data = python_data(design, MOST_ROWS)
    body = [line for line in lines[first:] if line != "print(fit.summary())"]
    return _joined(_ordered(imports), data, body, _PYTHON_SHOWN.splitlines())


def _ordered(imports: set[str]) -> list[str]:
    """``import`` before ``from``, each in the order of the alphabet."""
    return sorted(imports, key=lambda line: (line.startswith("from"), line))


def _r(package: str, call: str, design: Design) -> str:
    library, *lines = call.splitlines()
    body = [line for line in lines if line != "summary(fit)" and not line.startswith("# data as")]
    return _joined([library], r_data(design, MOST_ROWS), body, _R_SHOWN[package].splitlines())


def _joined(*parts: Sequence[str]) -> str:
    """Parts with an empty line between them."""
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"
