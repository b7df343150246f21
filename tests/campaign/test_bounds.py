"""What a plan may ask for, and what a file may not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pp_compare.campaign import store
from pp_compare.campaign.plan import from_document, read_plan
from pp_compare.campaign.run import read_campaign_plan
from pp_compare.errors import InputError

TOO_MUCH = {
    "2e24 data sets": (
        "replications = 1000000000\n[random]\ndraws = 1000000000",
        "1e+18 data sets",
    ),
    "more than a number holds": (f"replications = {'9' * 400}\n[grid]", "up to 1e+09"),
    "more digits than are read": (f"seed = {'9' * 5000}\n[grid]", "is not TOML"),
    "an axis beyond doubles": (
        f"[grid]\nnoise = {'9' * 400}",
        "noise is a number from 0 to 1e+100",
    ),
    "a deep list": ("x = " + "[" * 50_000 + "]" * 50_000, "is nested too deeply"),
    "a large file": ("# " + "x" * 2**21, "is larger than 1024 KiB, so no plan"),
    "large data sets": ("[grid]\nclusters = 10000000\nrows = 10000000", "1e+14 rows in a data set"),
    "many values": (f"[grid]\nicc = [{'0.1,' * 20_000}]", "20000 values; 10000 are taken"),
    "code": ('engines = ["os:system:touch pwned"]\n[grid]', "would run code that a file chose"),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_plan_that_asks_for_too_much_is_refused_at_once(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, words = TOO_MUCH[what]
    (tmp_path / "p.toml").write_text(text)
    began = time.monotonic()
    with pytest.raises(InputError) as refused:
        read_plan(tmp_path / "p.toml")
    assert words in str(refused.value)
    assert len(str(refused.value)) < 600
    assert time.monotonic() - began < 5.0  # takes milliseconds; what it asks for takes years
    assert {path.name for path in tmp_path.iterdir()} == {"p.toml"}


def test_an_engine_by_its_path_is_allowed_by_name(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('engines = ["a.b:c", "lme4"]\n[grid]\n')
    assert read_plan(tmp_path / "p.toml", ["a.b:c"]).engines == ("a.b:c", "lme4")
    with pytest.raises(InputError, match=r"--allow-engine 'a\.b:c' allows this one"):
        read_plan(tmp_path / "p.toml", ["a.b:d"])


def test_the_folder_of_a_campaign_names_no_code_either(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"engines": ["os:system:ls"], "grid": {}}')
    with pytest.raises(InputError, match="would run code that a file chose"):
        read_campaign_plan(tmp_path)
    (tmp_path / "plan.json").write_text('{"engines": ["lme4"], "gr')
    with pytest.raises(InputError, match="is not the folder of a campaign"):
        read_campaign_plan(tmp_path)


def test_a_truncated_part_is_said_and_made_anew(tmp_path: Path) -> None:
    from_document({"grid": {}})
    for start in (0, 1):
        store.write_part(tmp_path, start, start + 1, store.to_bytes([]))
    whole, cut = sorted(tmp_path.iterdir())
    cut.write_bytes(cut.read_bytes()[:-20])
    (tmp_path / ".0000000002-0000000003.parquet.1").write_bytes(b"half")
    with pytest.raises(InputError, match=r"is damaged .*; run the campaign again"):
        list(store.tables(tmp_path))
    assert store.repair(tmp_path) == [cut.name]
    assert list(tmp_path.iterdir()) == [whole]
    assert list(store.missing(2, store.finished(tmp_path), 5)) == [(1, 2)]
