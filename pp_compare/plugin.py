"""The pytest plugin: options, markers and fixtures to test a mixed-model engine.

Every pytest run loads it where the package is installed, so it imports nothing but pytest until one
of its options or fixtures is used.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from pp_compare.errors import InputError, PPCompareError

if TYPE_CHECKING:
    from pp_compare.conformance.checks import Check
    from pp_compare.conformance.contract import Adapter
    from pp_compare.conformance.glmm.checks import GlmmCheck
    from pp_compare.conformance.glmm.trial import GlmmTrial
    from pp_compare.conformance.models import Model
    from pp_compare.conformance.trial import Trial
    from pp_compare.engines import Engine
    from pp_compare.engines.glmm.registry import GlmmEngine
    from pp_compare.report.record import Report
    from pp_compare.verdict.deviations import Deviation

TRIAL = pytest.StashKey["Trial | GlmmTrial"]()
OWN = pytest.StashKey[frozenset[str]]()
"""Ids of the known deviations of --pp-known."""
NAMES = pytest.StashKey[frozenset[str]]()
DIGITS = pytest.StashKey[tuple[str, float]]()
"""Kind of quantity and digits right, of a test that held one against the certified optimum."""
_MODEL = re.compile(r"\[.+?-(REML|ML|binomial|poisson)\b")
FAIL_ON = ("wrong", "news", "any", "none")
MARKERS = (
    "pp_cases(*names, level='quick', methods=('REML', 'ML')): the models that the fixture pp_case "
    "goes through; by default those of --pp-case and --pp-level",
    "pp_checks(kind): a test of pp_compare.conformance, with the kind of checks it runs",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; `pytest --help` lists them."""
    group = parser.getgroup("pp-compare", "conformance of a mixed-model engine")
    group.addoption("--pp-engine", metavar="ID", help="engine: package.module:factory, or its name")
    group.addoption(
        "--pp-reference",
        action="append",
        metavar="NAME",
        help="certified, recorded:STACK or live; repeatable (certified and recorded:bookworm)",
    )
    group.addoption(
        "--pp-case", action="append", default=[], metavar="NAME", help="named case; repeatable"
    )
    group.addoption(
        "--pp-generalised",
        action="store_true",
        help="generalised models (binomial, poisson); an engine that has a 'definition', the "
        "criterion that it names, is asked for them without",
    )
    group.addoption(
        "--pp-level",
        default="quick",
        choices=("quick", "full", "search"),
        help="quick: half a minute; full: all but the large cases; search: all, and generated data",
    )
    group.addoption(
        "--pp-known",
        action="append",
        default=[],
        metavar="PATH",
        help="known deviations of your own: a TOML file or a folder of them; repeatable",
    )
    parser.addini(
        "pp_fail_on",
        default="wrong",
        help="what fails a test that judges a fit by pp_check: wrong, news, any or none",
    )
    group.addoption(
        "--pp-retired",
        action="append",
        default=[],
        metavar="ID",
        help="known deviation of pp-compare that is known no more; repeatable",
    )
    group.addoption(
        "--pp-strict",
        action="store_true",
        help="fail where a known deviation of pp-compare no longer shows; else that is a warning",
    )
    group.addoption(
        "--pp-bundle", metavar="DIR", help="folder for one bundle a failing model, in any test"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make engine and references, so that what is missing is said before any test."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if config.getini("pp_fail_on") not in FAIL_ON:
        asked = config.getini("pp_fail_on")
        raise pytest.UsageError(f"pp-compare: pp_fail_on is {', '.join(FAIL_ON)}, not '{asked}'")
    if config.option.pp_engine is not None:
        try:
            config.stash[TRIAL] = _trial(config)
        except PPCompareError as error:
            raise pytest.UsageError(f"pp-compare: {error}") from error


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under xdist one worker takes all tests of a model, so that it is fitted once."""
    if config.option.pp_engine is None or config.option.dist != "load":
        return None
    # xdist has no types; it makes this call, so it is there.
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # noqa: PLC0415

    class ByModel(LoadScopeScheduling):  # type: ignore[misc]  # as above
        def _split_scope(self, nodeid: str) -> str:
            model = _MODEL.search(nodeid)
            return model.group() if model else super()._split_scope(nodeid)

    return ByModel(config, log)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Engine and references, where there is an engine."""
    trial = config.stash.get(TRIAL, None)
    if trial is None:
        return None
    return f"pp-compare: {trial.header}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give `pp_case_check` its checks and `pp_case` its models."""
    names = metafunc.fixturenames
    if "pp_case_check" in names and TRIAL in metafunc.config.stash:
        metafunc.parametrize("pp_case_check", _checks(metafunc))
    if "pp_case" in names:
        metafunc.parametrize("pp_case", _models(metafunc), ids=lambda model: model.id)


def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Refuse to run the suite on nothing."""
    asking = [item for item in items if item.get_closest_marker("pp_checks")]
    if asking and TRIAL not in config.stash:
        raise pytest.UsageError(
            "pp-compare: say which engine to test: --pp-engine package.module:factory"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Let the digits travel with the report, from a worker of xdist too; bundle a failed model."""
    report = yield
    if call.when == "call" and DIGITS in item.stash:
        report.pp_digits = item.stash[DIGITS]
    folder = item.config.option.pp_bundle
    if call.when == "call" and report.failed and folder and call.excinfo is not None:
        said = _bundled(call.excinfo.value, Path(folder), f"{item.path.stem}-{item.name}")
        if said:
            report.sections.append(("pp-compare", said))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Digits right by kind of quantity."""
    found: dict[str, list[float]] = {}
    for reports in terminalreporter.stats.values():
        for kind, digits in (r.pp_digits for r in reports if hasattr(r, "pp_digits")):
            found.setdefault(kind, []).append(digits)
    if found:
        terminalreporter.section("digits right against the certified optimum: median, least")
    for kind, digits in found.items():
        terminalreporter.line(f"{kind:14}{median(digits):5.1f}{min(digits):6.1f}")


@pytest.fixture(scope="session")
def pp_engine(pytestconfig: pytest.Config) -> Engine | GlmmEngine:
    """The engine of --pp-engine."""
    if TRIAL not in pytestconfig.stash:
        pytest.fail("the fixture pp_engine needs --pp-engine package.module:factory", pytrace=False)
    return pytestconfig.stash[TRIAL].engine


@pytest.fixture(scope="session")
def pp_trial(pytestconfig: pytest.Config) -> Trial | GlmmTrial:
    """The engine of --pp-engine with its references and what was found so far."""
    return pytestconfig.stash[TRIAL]


@pytest.fixture(scope="session")
def pp_adapter(pp_engine: Engine | GlmmEngine) -> Adapter:
    """The engine of --pp-engine under contract, with its answers."""
    from pp_compare.conformance.contract import Adapter  # noqa: PLC0415  # heavy: see above
    from pp_compare.conformance.glmm.contract import GlmmAdapter  # noqa: PLC0415

    generalised = isinstance(getattr(pp_engine, "definition", None), str)
    return GlmmAdapter(pp_engine) if generalised else Adapter(pp_engine)


@pytest.fixture
def pp_check(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Judge a fit as a test: ``pp_check(fit_my_model())``; arguments of `pp_compare.check`.

    What fails is ``pp_fail_on`` of the configuration, or ``fail_on=`` of the call. The standing of
    each engine is a property of the test, as in JUnit's XML.
    """

    def judge(fitted: object, *data: Any, **options: Any) -> Report:
        __tracebackhide__ = True
        from pp_compare.audits.handed import check  # noqa: PLC0415  # heavy: see above

        options.setdefault("fail_on", request.config.getini("pp_fail_on"))
        report = check(fitted, *data, **options)
        for judgement in report.judgements:
            said = (f"pp_compare {judgement.engine}", judgement.standing)
            request.node.user_properties.append(said)
        if report.exit_status:
            pytest.fail(f"{report!r}", pytrace=False)
        return report

    return judge


@pytest.fixture
def pp_settle(request: pytest.FixtureRequest) -> Callable[[Check | GlmmCheck], None]:
    """Run a check as a test: a known deviation is an expected failure, with its id."""

    def run(check: Check | GlmmCheck) -> None:
        outcome = check.run()
        if check.kind == "truth" and outcome.digits is not None:
            request.node.stash[DIGITS] = (check.subject.partition("[")[0], outcome.digits)
        if outcome.gone and not _must_show(request.config, outcome.gone):
            _warn(request, outcome.gone)
        elif outcome.verdict == "fail":
            if outcome.follows and outcome.follows in _names(request.session):
                pytest.skip(f"follows from the failure of {outcome.follows}")
            pytest.fail(outcome.text, pytrace=False)
        if outcome.verdict == "known":
            pytest.xfail(outcome.text)
        if outcome.verdict == "skip":
            pytest.skip(outcome.text)

    return run


def _names(session: pytest.Session) -> frozenset[str]:
    """Names of the tests that are run."""
    if NAMES not in session.stash:
        session.stash[NAMES] = frozenset(item.name for item in session.items)
    return session.stash[NAMES]


def _must_show(config: pytest.Config, entry: str) -> bool:
    """A repair is news to us, and no failure of whose package it is; an entry is to whose it is."""
    return config.option.pp_strict or entry in config.stash[OWN]


def _warn(request: pytest.FixtureRequest, entry: str) -> None:
    """Show a warning that no filter of the adopter's turns into an error."""
    text = f"the known deviation {entry} no longer shows; --pp-retired {entry} ends it here"
    found = warnings.WarningMessage(text, pytest.PytestWarning, str(request.path), 1)
    request.config.hook.pytest_warning_recorded.call_historic(
        kwargs={
            "warning_message": found,
            "nodeid": request.node.nodeid,
            "when": "runtest",
            "location": None,
        }
    )


def _bundled(error: BaseException, folder: Path, test: str) -> str:
    from pp_compare.conformance.failing import bundle_of  # noqa: PLC0415  # heavy: see above

    try:
        written = bundle_of(error, folder, test)
    except Exception as problem:  # a bundle is a help, and must not take the place of the failure
        return f"no bundle of the model: {type(problem).__name__}: {problem}"
    return f"bundle of the model: {written}" if written else ""


def _trial(config: pytest.Config) -> Trial | GlmmTrial:
    from pp_compare.engines import is_path, make_engine  # noqa: PLC0415  # heavy: see above

    engine = config.option.pp_engine
    if config.option.pp_generalised and not is_path(engine):
        return _glmm_trial(config, engine)
    made = make_engine(engine)
    if config.option.pp_generalised or isinstance(getattr(made, "definition", None), str):
        return _glmm_trial(config, made)
    return _lmm_trial(config)


def _glmm_trial(config: pytest.Config, engine: Any) -> GlmmTrial:
    """A trial on generalised models; they have no registry of known deviations of one's own."""
    from pp_compare.conformance.glmm.models import glmm_models_of  # noqa: PLC0415  # heavy
    from pp_compare.conformance.glmm.trial import GlmmTrial  # noqa: PLC0415

    options = config.option
    glmm_models_of(options.pp_level, options.pp_case)  # a misspelt case is told at once
    for option in ("pp_known", "pp_retired", "pp_reference", "pp_bundle"):
        if getattr(options, option):
            name = option.replace("_", "-")
            raise InputError(f"--{name} is of linear models; a generalised one has none yet")
    config.stash[OWN] = frozenset()
    return GlmmTrial(engine, options.pp_engine)


def _lmm_trial(config: pytest.Config) -> Trial:
    from pp_compare.conformance.models import models_of  # noqa: PLC0415  # heavy: see above
    from pp_compare.conformance.references import DEFAULT  # noqa: PLC0415
    from pp_compare.conformance.trial import Trial  # noqa: PLC0415
    from pp_compare.verdict.deviations import load_deviations  # noqa: PLC0415

    models_of(config.option.pp_level, config.option.pp_case)  # a misspelt case is told at once
    own = [entry for path in config.option.pp_known for entry in _known(Path(path))]
    config.stash[OWN] = frozenset(entry.id for entry in own)
    retired = config.option.pp_retired
    ours = load_deviations()
    if unknown := sorted(set(retired) - {entry.id for entry in ours}):
        raise InputError(f"--pp-retired: no known deviation '{unknown[0]}'")
    bundle = config.option.pp_bundle
    return Trial(
        config.option.pp_engine,
        config.option.pp_reference or DEFAULT,
        (*own, *(e for e in ours if e.id not in {*config.stash[OWN], *retired})),
        Path(bundle) if bundle else None,
    )


def _known(path: Path) -> Sequence[Deviation]:
    from pp_compare.verdict.deviations import load_deviations  # noqa: PLC0415
    from pp_compare.verdict.probes import refuse_unknown  # noqa: PLC0415

    if not path.exists():
        raise InputError(f"--pp-known: no file or folder '{path}'")
    found = load_deviations(path)
    if not found:
        raise InputError(f"--pp-known: no TOML file in '{path}'")
    for entry in found:
        for probe in entry.probes:
            refuse_unknown(probe, entry.engine)
    return found


def _checks(metafunc: pytest.Metafunc) -> list[Any]:
    from pp_compare.conformance.checks import checks_of  # noqa: PLC0415
    from pp_compare.conformance.glmm.checks import GLMM_KINDS, glmm_checks_of  # noqa: PLC0415
    from pp_compare.conformance.glmm.models import glmm_models_of  # noqa: PLC0415
    from pp_compare.conformance.glmm.trial import GlmmTrial  # noqa: PLC0415

    (kind,) = next(metafunc.definition.iter_markers("pp_checks")).args
    trial = metafunc.config.stash[TRIAL]
    checks: Iterable[Check | GlmmCheck]
    if isinstance(trial, GlmmTrial):
        option = metafunc.config.option
        models = glmm_models_of(option.pp_level, option.pp_case)
        checks = glmm_checks_of(trial, models, [kind]) if kind in GLMM_KINDS else ()
    else:
        checks = checks_of(trial, _models(metafunc), [kind])
    nothing = pytest.mark.skip(reason=f"no {kind} is asked of {trial.name} on these models")
    return [pytest.param(check, id=check.id) for check in checks] or [
        pytest.param(None, id="none", marks=nothing)
    ]


def _models(metafunc: pytest.Metafunc) -> Sequence[Model]:
    """Those of the marker, else those of the options."""
    from pp_compare.conformance.models import models_of  # noqa: PLC0415

    option, marker = metafunc.config.option, metafunc.definition.get_closest_marker("pp_cases")
    if marker is not None:
        return models_of(names=marker.args, **marker.kwargs)
    return models_of(option.pp_level, option.pp_case)
