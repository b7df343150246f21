"""Files, formulas, flags and plans that nobody has thought of: a sentence and a status for each.

The counts of each kind are printed (``pytest -s``). A fault of pp-compare (status 4) fails, and so
does an example that takes longer than `BOUND`.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.campaign.generate import generate
from pp_compare.campaign.plan import read_plan
from pp_compare.cli import main, options
from pp_compare.cli.failures import OUR_FAULT, explained
from pp_compare.data.bounds import check_numbers
from pp_compare.data.files import read_dataset
from pp_compare.data.frames import dataset_of
from pp_compare.engines.worker import Workers
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula

pytestmark = pytest.mark.slow

EXAMPLES = 700
BOUND = 60.0
"""Seconds of one example, on a machine with others at work."""

counts: Counter[tuple[str, str]] = Counter()


@pytest.fixture(scope="module", autouse=True)
def _table() -> Iterator[None]:
    yield
    for (what, how), number in sorted(counts.items()):
        sys.stderr.write(f"\n{what:>9} {how:<28} {number:>6}")


def examples(number: int = EXAMPLES) -> settings:
    return settings(
        max_examples=number,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )


def attempt(what: str, do: Callable[[], object]) -> int:
    """Do something as a command does; its status."""
    began = time.monotonic()
    status, sentence = 0, ""
    try:
        do()
    except SystemExit as end:
        status = int(end.code or 0)
    except Exception as failure:
        sentence, status = explained(failure)
        if status == OUR_FAULT:
            raise
    assert time.monotonic() - began < BOUND, "a hang"
    assert len(sentence.splitlines()) <= 1
    assert len(sentence) <= 1300
    counts[what, f"status {status}"] += 1
    return status


NAMES = st.sampled_from(
    [
        "y",
        "x",
        "g",
        "x ",
        " y",
        "",
        "group_0",
        "[/]",
        "[bold]",
        "a b",
        "größe",
        "x`z",
        "1",
        "C",
        "T",
        "Intercept",
        "a\nb",
        "I(x)",
        "y~x",
        "NA",
        "\x1b[31m",
        "None",
        "if",
        "a" * 300,
    ]
)
CELLS = st.one_of(
    st.sampled_from(
        [
            "1",
            "2",
            "2.5",
            "-999",
            "001",
            "1_1",
            "NA",
            "",
            ".",
            "None",
            "nan",
            "inf",
            "1e308",
            "5e-324",
            "1e-320",
            "1e400",
            "-0",
            "0x1F",
            "T",
            "FALSE",
            "a",
            "b",
            " a",
            "[/]",
            "12345678901234567890",
            "1,5",
            "1.234,5",
            '"',
            "'",
            "a;b",
            "2024-01-02",
            "\x00",
            "\ufeff",
            "١",
            "1e",
            "+",
            "-",
            "x\ty",
        ]
    ),
    st.integers(-3, 3).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(max_size=5),
)


NUMBER = st.one_of(st.integers(-9, 9).map(str), st.floats(-5, 5).map(lambda x: f"{x:.3f}"))
GROUP = st.sampled_from(["a", "b", "c", "1_1", "11"])


@st.composite
def rows(draw: st.DrawFn) -> list[list[str]]:
    """A header and rows: of any cells, or of nearly sound ones."""
    if draw(st.integers(0, 3)):
        header = draw(st.sampled_from([["y", "x", "g"], ["", "y", "x", "g"], ["y", "x", "g", ""]]))
        kinds = {"y": NUMBER, "x": draw(st.sampled_from([NUMBER, CELLS])), "g": GROUP}
        row = st.tuples(*(kinds.get(name, CELLS) for name in header)).map(list)
        return [header, *draw(st.lists(row, min_size=8, max_size=12))]
    header = draw(st.lists(NAMES, min_size=1, max_size=5))
    width = st.integers(0, draw(st.sampled_from([0, 0, 1]))).map(lambda more: len(header) + more)
    row = width.flatmap(lambda n: st.lists(CELLS, min_size=n, max_size=n))
    return [header, *draw(st.lists(row, max_size=8))]


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A table, or what is left of one."""
    delimiter = draw(st.sampled_from([",", ",", ",", ";", "\t", "|", " ", ":"]))
    text = "\n".join(delimiter.join(row) for row in draw(rows()))
    coding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig", "utf-32"]))
    content = text.encode(coding)
    match draw(st.integers(0, 12)):
        case 0:
            content = gzip.compress(content)
        case 1:
            content = content[: draw(st.integers(0, len(content)))]
        case 2:
            content = bytes(255 - byte for byte in content)
    return content


MARKS = [
    b"PAR1",
    b"ARROW1",
    b"PK\x03\x04",
    b"$FL2",
    b"<stata_dta>",
    b"X\n\x00\x00",
    b"\x1f\x8b\x08",
    b"\x80\x04",
]
MARKS += [b"RDX3\n", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b""]
OTHER = st.builds(lambda mark, rest: mark + rest, st.sampled_from(MARKS), st.binary(max_size=200))
ENDINGS = st.sampled_from(
    [
        "csv",
        "csv",
        "csv",
        "tsv",
        "txt",
        "gz",
        "parquet",
        "xlsx",
        "rds",
        "sav",
        "dta",
        "feather",
        "pkl",
        "zip",
    ]
)
FORMULAS = st.sampled_from(
    [
        "y ~ x + (1|g)",
        "y ~ x + (1|g)",
        "y ~ 1 + (1|g)",
        "y ~ C(x) + (x|g)",
        "x ~ y + (1|g)",
        "y ~ `[/]` + (1|g)",
        "y ~ group_0 + (1|g)",
        "y ~ log(x) + (1|g)",
    ]
)


@examples()
@given(content=st.one_of(tables(), tables(), OTHER), ending=ENDINGS, formula=FORMULAS)
def test_any_file(tmp_path_factory: pytest.TempPathFactory, **given_: object) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / f"d.{given_['ending']}"
    path.write_bytes(given_["content"])  # type: ignore[arg-type]
    selections: list[Selection] = []

    def read() -> None:
        selections.extend(
            options.select(None, ("REML",), path, str(given_["formula"]), None, False)
        )
        options.reading_of(selections[0], options.AS_R)
        options.design_of(selections[0], "drop")

    attempt("file", read)

    def again() -> None:
        """What was read is written exactly, and reads back the same."""
        first = read_dataset(path)
        (folder / "again.csv").write_text(first.exact_csv(), encoding="utf-8")
        second = read_dataset(folder / "again.csv")
        if list(first.frame.columns) == list(second.frame.columns):
            pd.testing.assert_frame_equal(first.frame, second.frame, check_exact=True)

    attempt("again", again)


WORDS = st.sampled_from(
    [
        "y",
        "x",
        "w",
        "g",
        "h",
        "1",
        "0",
        "-1",
        "2",
        "~",
        "+",
        "-",
        "*",
        ":",
        "/",
        "^",
        "|",
        "||",
        "(",
        ")",
        "(1|g)",
        "(x|g)",
        "C(x)",
        "log(x)",
        "I(x^2)",
        "I(",
        "poly(x, 2)",
        "`",
        "'",
        '"',
        "%in%",
        ".",
        ",",
        "[",
        "]",
        "{",
        "}",
        "system('ls')",
        "__import__('os')",
        "lambda",
        "\\",
        "\n",
        "é",
        "**",
        "==",
        "=",
        "9" * 30,
        "x" * 500,
        "(" * 50,
        ")" * 50,
        "^99",
        "offset(x)",
        "NA",
        "TRUE",
    ]
)
DATA = Path(__file__).parents[1] / "cases" / "files" / "group_0.csv"


SOUND = ["y", "~", "arm", "+", "group_0", "+", "(", "1", "|", "g", ")"]


@st.composite
def formulas(draw: st.DrawFn) -> str:
    """Words in any order, or a sound formula with a few words changed."""
    joined = draw(st.sampled_from(["", " "]))
    if draw(st.booleans()):
        return "y ~ " + joined.join(draw(st.lists(WORDS, min_size=1, max_size=25)))
    words = list(SOUND)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(words) - 1))
        words[at : at + draw(st.integers(0, 2))] = draw(st.lists(WORDS, max_size=2))
        words = words or ["y"]
    return joined.join(words)


@examples()
@given(text=formulas())
def test_any_formula(text: str) -> None:
    attempt("formula", lambda: options.select(None, ("REML",), DATA, text, None, False))


VALUES = st.sampled_from(
    [
        "",
        "nan",
        "inf",
        "-1",
        "0",
        "1e-320",
        "1e400",
        "9" * 400,
        "x",
        "[/]",
        "reml",
        "drop",
        "/dev/null",
        "/dev/full",
        "/proc/1/mem",
        ".",
        "..",
        "x=factor",
        "=",
        "x=",
        "y=number",
        "lme4:",
        ":",
        "sys:path",
        "json:dumps",
        "recorded:bookworm/../lme4",
        "recorded:../x/lme4",
        "certified",
        "a" * 5000,
        "\x00",
        'Rscript "',
        "''",
        "none",
        "worse",
        "1e3",
    ]
)
FLAGS = st.sampled_from(
    [
        "--engine",
        "--method",
        "--data",
        "--formula",
        "--na",
        "--type",
        "--na-value",
        "--limit",
        "--tag",
        "--fail-on",
        "--json",
        "--seconds",
        "--seed",
        "--processes",
        "--memory",
        "--scheduler",
        "--case",
        "--generated",
        "--rscript",
        "--floor",
        "--baseline",
        "--package",
        "--setting",
        "--adapter",
        "--large",
        "--nonsense",
        "--allow-engine",
        "--exclude-newer",
        "--index",
    ]
)
COMMANDS = st.sampled_from(
    ["audit", "explain", "reproduce", "campaign", "search", "record", "releases"]
)


@pytest.fixture
def _nothing_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: object, **__: object) -> None:
        raise SystemExit(0)

    for name in ("audit.audit", "reproduce.audit", "explain.explain", "record.record",
                 "record.record_glmm", "releases.check", "releases.python_candidates",
                 "releases.r_candidates", "releases.glmm_r_candidates",
                 "releases.generated"):  # fmt: skip
        monkeypatch.setattr(f"pp_compare.cli.commands.{name}", reached)
    monkeypatch.setattr("pp_compare.search.run.search", reached)
    monkeypatch.setattr("pp_compare.campaign.run.run_campaign", reached)
    monkeypatch.setattr("pp_compare.campaign.local.LocalFleet", reached)
    monkeypatch.setattr("pp_compare.campaign.cluster.DaskFleet", reached)


@pytest.mark.usefixtures("_nothing_is_fitted")
@examples()
@given(
    command=COMMANDS,
    flags=st.lists(st.tuples(FLAGS, VALUES), max_size=4),
    words=st.lists(st.one_of(VALUES, st.just("seed_case1")), max_size=1),
    own=st.booleans(),
)
def test_any_flag(
    command: str,
    flags: list[tuple[str, str]],
    words: list[str],
    own: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    typed = [part for flag in flags for part in flag if part]
    if own:
        typed += ["--data", str(DATA), "--formula", "y ~ x + (1|g)"]

    def do() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["pp-compare", command, *words, *typed])
            main()

    assert attempt("flag", do) in (0, 2, 3)


SCALARS = st.one_of(
    st.integers(-2, 10**40),
    st.floats(),
    st.booleans(),
    st.text(max_size=4),
    st.sampled_from(["intercept", "REML", "os:system:touch pwned", 1e7, 10_000_000]),
)
GOOD: dict[str, st.SearchStrategy[object]] = {
    "model": st.sampled_from(["intercept", "slope", "nested", "crossed"]),
    "clusters": st.integers(2, 30),
    "rows": st.floats(1, 9),
    "icc": st.floats(0, 0.99),
    "noise": st.floats(1e-90, 1e90),
    "effect": st.floats(-1e99, 1e99),
    "offset": st.floats(-1e99, 1e99),
    "imbalance": st.floats(0, 5),
    "method": st.sampled_from(["REML", "ML"]),
}


def axis(good: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """A value, values, or a range: sound ones, and now and then anything."""
    return st.one_of(
        good,
        good,
        st.lists(good, min_size=1, max_size=4),
        st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.just(list(range(2, 3000)))),
        st.fixed_dictionaries({"low": good, "high": good}, optional={"log": st.booleans()}),
    )


GRID = st.fixed_dictionaries({}, optional={name: axis(good) for name, good in GOOD.items()})
DRAWN = st.fixed_dictionaries(
    {"draws": st.one_of(st.integers(1, 99), SCALARS)},
    optional={name: axis(good) for name, good in GOOD.items()},
)
REST = {
    "replications": st.one_of(st.integers(1, 99), SCALARS),
    "seed": st.one_of(st.integers(0, 99), SCALARS),
    "name": st.one_of(st.just("n"), SCALARS),
    "design": st.sampled_from(["fresh", "fixed", "other"]),
    "engines": st.sampled_from([["lme4"], ["nlme", "statsmodels"], ["os:system:touch pwned"], []]),
}
PLANS = st.one_of(
    st.fixed_dictionaries({"grid": GRID}, optional=REST),
    st.fixed_dictionaries({"random": DRAWN}, optional=REST),
    st.fixed_dictionaries({}, optional={"grid": SCALARS, "schema": SCALARS, "other": SCALARS}),
)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else json.dumps(value)


@examples()
@given(plan=PLANS, deep=st.sampled_from([0] * 9 + [20_000]), cut=st.sampled_from([0] * 9 + [5]))
def test_any_plan(
    plan: dict[str, object], deep: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = "\n".join(f"{key} = {toml(value)}" for key, value in plan.items())
    text += f"\ndeep = {'[' * deep}{']' * deep}" if deep else ""
    path = folder / "plan.toml"
    path.write_text(text[: len(text) - cut], encoding="utf-8", errors="surrogateescape")

    def do() -> None:
        read = read_plan(path)
        points = [read.point(k) for k in {0, read.points // 2, read.points - 1}]
        if points[0].clusters * points[0].rows < 1e4:
            generate(read, 0)

    assert attempt("plan", do) in (0, 2)
    assert not Path("pwned").exists()


SOUND_NUMBERS = st.one_of(
    st.integers(-2, 2).map(float),
    st.floats(-10, 10).filter(lambda x: x == 0 or abs(x) > 1e-9),
    st.sampled_from([1e16, 1 + 2**-52, 1e60, 1e-60, -1e30]),
)
ODD_NUMBERS = st.sampled_from([1e308, -1e308, 5e-324, 1e-310, 1e154, 1e-154, 0.1])


@st.composite
def columns(draw: st.DrawFn) -> list[float]:
    found = draw(st.lists(SOUND_NUMBERS, min_size=12, max_size=12))
    if draw(st.integers(0, 7)) == 0:
        found[draw(st.integers(0, 11))] = draw(ODD_NUMBERS)
    return found


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(8.0) as found:
        yield found


@examples(150)
@given(
    y=columns(),
    x=columns(),
    name=st.sampled_from(["x", "group_0", "[/]", "a b", "Intercept", "C", "größe"]),
    formula=st.sampled_from(["y ~ `{}` + (1|g)", "y ~ 1 + (`{}`|g)", "y ~ `{}` + (1|g) + (1|h)"]),
)
def test_any_numbers(
    workers: Workers, y: list[float], x: list[float], name: str, formula: str
) -> None:
    frame = pd.DataFrame({"y": y, name: x, "g": list("aabbccddeeff"), "h": list("uvw" * 4)})

    def do() -> None:
        spec = parse_formula(formula.format(name))
        dataset = dataset_of(frame)
        check_numbers(dataset, spec)
        design = build_design(dataset, spec)
        fits = {e: workers.start_fit(e, design)() for e in ("statsmodels", "certified")}
        selection = Selection("d", dataset, spec.formula, "REML")
        out_of_time: list[str] = []
        workers.start(judge, selection, design, fits, (), otherwise=out_of_time.append)()
        counts.update(("judging", reason[:27]) for reason in out_of_time)
        counts.update((engine, fit.status) for engine, fit in fits.items())
        assert not any("fault" in reason for reason in out_of_time), out_of_time

    attempt("numbers", do)
