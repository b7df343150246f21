"""The plugin in a pytest of somebody else: options, ids, outcomes, fixtures, cost of loading."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import statsmodels.formula.api  # noqa: F401  # an inner run would load it again and again

import pp_compare.conformance  # noqa: F401  # as above

pytest_plugins = ["pytester"]
NUMBERS = ("--pyargs", "pp_compare.conformance.test_truth")
KNOWN = """
engine = "henderson"
quantities = ["{quantity}", "identity:*"]
causes = ["post-processing"]
summary = "standard errors are variances"
seen = "2.04 for 1.43 on seed_case1"
true = "the square root"
upstream = "not reported"
checked = "2026-11-22"
examples = [{{ case = "seed_case1", method = "{method}" }}]
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    return lambda *options: pytester.runpytest_inprocess(
        "-p", "no:hypothesispytest", "-ra", *map(str, options)
    )


def test_loading_it_loads_nothing_heavy() -> None:
    """In a process of its own, as every pytest run of the environment does."""
    code = (
        "import sys, pytest\n"
        "class Look:\n"
        "    def pytest_configure(self, config):\n"
        "        assert config.pluginmanager.hasplugin('pp_compare'), 'not loaded'\n"
        "        print('loaded', *sorted(m for m in sys.modules if '.' not in m))\n"
        "        print('ours', *sorted(m for m in sys.modules if m.startswith('pp_compare')))\n"
        "pytest.main(['--version', '-p', 'no:cacheprovider'], plugins=[Look()])\n"
        "pytest.main(['--co', '-q', '--ignore-glob=*'], plugins=[Look()])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert "loaded" in lines, done.stdout + done.stderr
    heavy = {"numpy", "pandas", "scipy", "statsmodels", "flint", "matplotlib", "rpy2", "formulaic"}
    assert not heavy & set(lines["loaded"].split())
    light = ["pp_compare", *(f"pp_compare.{name}" for name in ("errors", "plugin", "version"))]
    assert lines["ours"].split() == light


def test_ids_can_be_read_and_selected(
    run: Callable[..., pytest.RunResult], example: Callable[..., None]
) -> None:
    example()
    asked = ("--pp-engine", "henderson.adapter:Engine", "--pp-case", "seed_case1")
    suite = ("--pyargs", "pp_compare.conformance")
    listed = run("--collect-only", "-q", *suite, *asked).stdout.str()
    assert re.search(r"test_truth\.py::test_truth\[seed_case1-REML-beta_se\]", listed)
    one = run(*NUMBERS, *asked, "-k", "seed_case1-ML-blup")
    one.assert_outcomes(passed=1, deselected=19)
    one.stdout.fnmatch_lines("pp-compare: engine henderson, against certified and recorded:*")


def test_a_known_deviation_of_ones_own_is_an_expected_failure(
    run: Callable[..., pytest.RunResult], example: Callable[..., None], tmp_path: Path
) -> None:
    example("adapter.py", "np.sqrt(np.diag(answer.beta_cov))", "np.diag(answer.beta_cov)")
    asked = ("--pp-engine", "henderson.adapter:Engine", "--pp-case", "seed_case1")
    entry = tmp_path / "se-is-variance.toml"
    entry.write_text(KNOWN.format(quantity="beta_se", method="REML"))
    only = ("-k", "beta_se or se-is-variance")
    suite = (*NUMBERS, "pp_compare.conformance.test_deviations", *asked, *only)
    run(*suite).assert_outcomes(failed=2, deselected=19)
    known = run(*suite, "--pp-known", entry)
    known.assert_outcomes(xfailed=2, passed=1, deselected=18)
    known.stdout.fnmatch_lines("XFAIL*beta_se* - se-is-variance: standard errors are variances")
    # The same entry where there is no such deviation: it must not stay.
    example()
    entry.write_text(KNOWN.format(quantity="beta_se", method="REML"))
    stale = run(*suite, "--pp-known", entry)
    stale.assert_outcomes(passed=2, failed=1, deselected=18)
    stale.stdout.fnmatch_lines("the known deviation se-is-variance no longer shows")


REPAIRED = """
engine = "henderson"
quantities = ["sigma"]
causes = ["objective"]
summary = "a defect that was repaired"
seen = "x"
true = "y"
upstream = "not reported"
checked = "2026-01-01"
examples = [{ case = "seed_case1", method = "REML" }]
"""


@pytest.mark.parametrize(
    ("options", "outcomes", "said"),
    [
        ((), {"passed": 1, "warnings": 1}, "*deviation repaired no longer shows; --pp-retired*"),
        (("-W", "error"), {"passed": 1, "warnings": 1}, "*deviation repaired no longer shows*"),
        (("--pp-strict",), {"failed": 1}, "*the known deviation repaired no longer shows*"),
        (("--pp-retired", "repaired"), {"skipped": 1}, "*no deviation is asked of henderson*"),
    ],
)
def test_a_repair_of_what_we_know_is_a_warning_and_fails_where_that_is_asked_for(
    options: tuple[str, ...],
    outcomes: dict[str, int],
    said: str,
    run: Callable[..., pytest.RunResult],
    example: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example()
    (tmp_path / "repaired.toml").write_text(REPAIRED)
    monkeypatch.setattr("pp_compare.verdict.deviations.resource", lambda *_: tmp_path)
    asked = ("--pp-engine", "henderson.adapter:Engine", "--pp-case", "seed_case1")
    done = run("--pyargs", "pp_compare.conformance.test_deviations", *asked, *options)
    done.assert_outcomes(**outcomes)
    done.stdout.fnmatch_lines([said])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--pp-engine", "statsmodels", "--pp-retired", "x"), "no known deviation 'x'"),
        ((), "say which engine to test: --pp-engine package.module:factory"),
        (("--pp-engine", "nobody"), "no engine 'nobody'; there are: "),
        (("--pp-engine", "nobody.knows:it"), "no engine factory 'nobody.knows:it'"),
        (
            ("--pp-engine", "statsmodels", "--pp-known", "none.toml"),
            "no file or folder 'none.toml'",
        ),
        (("--pp-engine", "statsmodels", "--pp-known", "."), "no TOML file in '.'"),
        (("--pp-engine", "statsmodels", "--pp-reference", "sid"), "recorded:STACK or live"),
        (("--pp-engine", "statsmodels", "--pp-case", "none"), "no case 'none'; the cases are"),
    ],
)
def test_bad_usage_is_one_line(
    options: tuple[str, ...], words: str, run: Callable[..., pytest.RunResult]
) -> None:
    done = run(*NUMBERS, *options)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    shown = done.stderr.str()
    assert words in shown
    assert "Traceback" not in shown + done.stdout.str()


def test_a_probe_that_there_is_not_is_bad_usage(
    run: Callable[..., pytest.RunResult], tmp_path: Path
) -> None:
    entry = KNOWN.format(quantity="probe:odd", method="REML").replace('", "identity:*', "")
    (tmp_path / "odd.toml").write_text(entry)
    done = run(*NUMBERS, "--pp-engine", "statsmodels", "--pp-known", tmp_path)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "no probe 'odd'; there are: keyword gtol of bfgs" in done.stderr.str()


def test_junit_and_terminal_tell_the_same(
    run: Callable[..., pytest.RunResult], example: Callable[..., None], tmp_path: Path
) -> None:
    example("adapter.py", "np.sqrt(np.diag(answer.beta_cov))", "np.diag(answer.beta_cov)")
    asked = ("--pp-engine", "henderson.adapter:Engine", "--pp-case", "seed_case1")
    done = run(*NUMBERS, *asked, "-k", "REML-beta", f"--junitxml={tmp_path / 'junit.xml'}")
    cases = {c.get("name"): c for c in ElementTree.parse(tmp_path / "junit.xml").iter("testcase")}
    assert cases["test_truth[seed_case1-REML-beta]"].find("failure") is None
    failure = cases["test_truth[seed_case1-REML-beta_se]"].find("failure")
    assert "cause      post-processing" in failure.text
    done.stdout.fnmatch_lines(["*digits right against the certified optimum: median, least*"])
    done.stdout.re_match_lines([r"beta +(1\d|9)\.\d +(1\d|9)\.\d$", r"beta_se +0\.\d +0\.\d$"])


@pytest.mark.slow
def test_xdist_gives_a_model_to_one_worker(
    pytester: pytest.Pytester,
    example: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each fit of the engine leaves a line; every model is fitted once."""
    seen = f"open({str(tmp_path / 'fits')!r}, 'a').write(f'{{len(y)}} {{reml}}\\n')"
    example("fit.py", "    k = int(np.argmin", f"    {seen}\n    k = int(np.argmin")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path[:2]))
    asked = ("--pp-engine", "henderson.adapter:Engine", "--pp-case", "seed_case1")
    cases = ("--pp-case", "seed_case2", "--pp-case", "Dyestuff")
    done = pytester.runpytest_subprocess("-n", "2", *NUMBERS, *asked, *cases)
    done.assert_outcomes(passed=60)
    done.stdout.fnmatch_lines(["*digits right against the certified optimum*"])
    fits = (tmp_path / "fits").read_text().splitlines()
    assert len(fits) == len(set(fits)) == 6


def test_the_fixtures_serve_tests_of_ones_own(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult], example: Callable[..., None]
) -> None:
    example()
    pytester.makepyfile(
        """
        import numpy as np
        import pytest
        from pp_compare import assert_parity

        @pytest.mark.pp_cases("seed_case1", "Dyestuff", methods=["REML"])
        def test_my_package(pp_case):
            from henderson import fit_random_intercept
            design = pp_case.design
            mine = fit_random_intercept(design.y, design.X, design.blocks[0].codes)
            numbers = {"beta": mine.beta, "sigma": np.sqrt(mine.sigma2), "loglik": mine.loglik}
            assert_parity(numbers, "certified", design, "henderson")
            assert len(pp_case.frame) == design.n_obs

        @pytest.mark.pp_cases("seed_case1", methods=["ML"])
        def test_off(pp_case):
            assert_parity({"sigma": 1.0}, "recorded:bookworm/lme4", pp_case.design, "mine")

        def test_engine(pp_engine, pp_case):
            assert_parity(pp_engine.fit(pp_case.design), "certified", pp_case.design)
        """
    )
    asked = (
        "--pp-engine",
        "henderson.adapter:Engine",
        "--pp-case",
        "seed_case3",
        "--strict-markers",
    )
    done = run(*asked)
    done.assert_outcomes(passed=4, failed=1)
    done.stdout.fnmatch_lines(
        [
            "*mine differs from recorded:bookworm/lme4 in sigma*",
            "FAILED *test_off?seed_case1-ML?*",
        ]
    )
    without = run("-k", "test_engine")
    without.stdout.fnmatch_lines("*the fixture pp_engine needs --pp-engine*")


def test_a_fit_of_ones_own_pipeline_is_judged(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import statsmodels.formula.api as smf
        from pp_compare import case

        def fitted(**arguments):
            data = case("Dyestuff").dataset.frame
            return smf.mixedlm("Yield ~ 1", data, groups="Batch").fit(**arguments)

        def test_good(pp_check):
            assert pp_check(fitted()).judgements[0].standing == "right"

        def test_bad(pp_check):
            pp_check(fitted(method="bfgs", maxiter=1), fail_on="any", limit=1)
        """
    )
    done = pytester.runpytest("-p", "no:cacheprovider", "-W", "default", "--junitxml=out.xml")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*statsmodels is *", "*Yield ~ 1 + (1 | Batch), REML*"])
    xml = (pytester.path / "out.xml").read_text()
    assert 'name="pp_compare statsmodels" value="right"' in xml


def test_a_word_that_is_none_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\npp_fail_on = "worse"')
    done = pytester.runpytest()
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*pp_fail_on is wrong, news, any, none, not 'worse'"])


def test_what_follows_from_a_failure_is_no_failure_of_its_own(
    run: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        short="""
        from dataclasses import replace
        from pp_compare import Quantity, make_engine

        class Engine:
            name = "short"

            def unsupported(self, design):
                return None

            def fit(self, design):
                fit = make_engine("certified").fit(design)
                cov = fit.quantities["random_cov[cluster]"]
                off = replace(cov, values=4 * cov.values)
                return replace(fit, engine="short", quantities={**fit.quantities, cov.name: off})
        """
    )
    asked = ("--pyargs", "pp_compare.conformance.test_truth", "--pp-engine", "short:Engine",
             "--pp-case", "seed_case1", "--pp-reference", "certified")  # fmt: skip
    whole = run(*asked, "-k", "REML")
    skipped = "*follows from the failure of test_truth?seed_case1-REML-criterion?"
    whole.stdout.fnmatch_lines([skipped])
    whole.stdout.fnmatch_lines(["FAILED *-REML-criterion] - Failed: criterion [0-9].[0-9] digits*"])
    whole.stdout.no_fnmatch_line("FAILED *-REML-random_cov]*")
    alone = run(*asked, "-k", "REML-random_cov")
    alone.assert_outcomes(failed=1, deselected=19)
