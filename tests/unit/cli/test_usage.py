"""`heddle usage` and `heddle ledger`, without a mesh."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from heddle.cli.main import main
from heddle.drivers.ledger import Entry, keys
from heddle.drivers.ledger.chain import segments
from heddle.drivers.ledger.writer import Writer

DAY = 86_400


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "ledger"
    one = Writer(directory, 0, keys.prepare(directory))
    for number in range(6):
        one.append(
            Entry(
                t=1_000 * DAY + number * DAY / 2,
                tenant="dev" if number % 3 else "ops",
                user="=cmd()" if number == 5 else "alice",
                model="gpt" if number < 4 else "mystery",
                provider="p",
                input=100,
                output=10,
                nano_usd=1_500_000_000 if number < 4 else None,
                estimated=number == 3,
            )
        )
    one.close()
    return tmp_path


def heddle(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--state", str(state)])


def test_the_table_has_the_dearest_first_and_a_total(state: Path):
    lines = [line.split() for line in heddle(state, "usage", "--by", "tenant,model").output.splitlines()]
    assert lines[0] == [
        "tenant",
        "model",
        "calls",
        "input",
        "cached",
        "output",
        "reasoning",
        "usd",
        "unpriced",
        "estimated",
    ]
    assert lines[1][:3] == ["dev", "gpt", "2"]
    assert lines[-1] == ["total", "6", "600", "0", "60", "0", "6.000000", "2", "1"]


def test_days_are_in_their_order(state: Path):
    lines = heddle(state, "usage", "--by", "day").output.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["1972-09-27", "1972-09-28", "1972-09-29"]


def test_csv_is_for_spreadsheets_and_holds_no_formulas(state: Path):
    rows = list(csv.DictReader(heddle(state, "usage", "--by", "user", "--format", "csv").output.splitlines()))
    assert [(row["user"], row["usd"], row["unpriced"]) for row in rows] == [
        ("alice", "6.000000000", "1"),
        ("'=cmd()", "0.000000000", "1"),
    ]


def test_json_is_for_scripts(state: Path):
    shown = json.loads(heddle(state, "usage", "--format", "json", "--where", "tenant=ops").output)
    assert shown["total"] == {
        "calls": 2, "input": 200, "cached": 0, "output": 20, "reasoning": 0,
        "unpriced": 0, "estimated": 1, "usd": 3.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "calls"),
    [(("--since", "1972-09-28"), 4), (("--until", "1972-09-28T12:00:00Z"), 3), (("--since", "24h"), 0)],
)
def test_a_span_of_time(state: Path, arguments: tuple[str, ...], calls: int):
    shown = json.loads(heddle(state, "usage", "--format", "json", *arguments).output)
    assert shown["total"]["calls"] == calls


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--by", "colour"), "there is no 'colour'; known are tenant"),
        (("--since", "yesterday"), "expected a span"),
        (("--where", "tenant"), "expected DIM=VALUE"),
        (("--where", "colour=red"), "there is no 'colour'"),
    ],
)
def test_what_makes_no_sense_is_said(state: Path, arguments: tuple[str, ...], said: str):
    result = heddle(state, "usage", *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_no_calls_and_no_ledger(state: Path, tmp_path: Path):
    assert heddle(state, "usage", "--since", "24h").output == "no calls\n"
    for command in (("usage",), ("ledger", "verify"), ("ledger", "head")):
        result = heddle(tmp_path / "none", *command)
        assert result.exit_code == 1
        assert "there is no ledger" in result.output


def test_the_help_teaches(state: Path):
    text = heddle(state, "usage", "--help").output
    assert "heddle usage --by tenant,user --since 30d" in text


def test_a_sound_ledger_and_one_that_is_not(state: Path):
    result = heddle(state, "ledger", "verify")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "sound: every entry is what was written")
    path = segments(state / "ledger")[0][0].path
    path.write_bytes(path.read_bytes().replace(b"alice", b"malic", 1))
    result = heddle(state, "ledger", "verify")
    assert result.exit_code == 1
    assert f"{path.name}:2 (byte " in result.output
    shown = json.loads(heddle(state, "ledger", "verify", "--json").output)
    assert not shown["sound"]
    assert "entry 1 was changed" in shown["findings"][0]["what"]


def test_an_anchor_is_what_head_printed(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    anchor = tmp_path / "heads.jsonl"
    anchor.write_text(heddle(state, "ledger", "head").output)
    assert heddle(state, "ledger", "verify", "--anchor", str(anchor)).exit_code == 0
    anchor.write_text(anchor.read_text().replace('"0": "6:', '"0": "5:'))
    assert heddle(state, "ledger", "verify", "--anchor", str(anchor)).exit_code == 1
    anchor.write_text("{}")
    result = heddle(state, "ledger", "verify", "--anchor", str(anchor))
    assert (result.exit_code, "is not what `heddle ledger head` prints" in result.output) == (2, True)


def test_the_key_may_come_from_elsewhere(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (state / "ledger" / "key").rename(tmp_path / "kept")
    assert heddle(state, "ledger", "verify").exit_code == 2
    assert heddle(state, "ledger", "verify", "--key-file", str(tmp_path / "kept")).exit_code == 0
    monkeypatch.setenv("HEDDLE_LEDGER_KEY", (tmp_path / "kept").read_text().strip())
    (tmp_path / "kept").unlink()
    assert heddle(state, "ledger", "verify").exit_code == 0
    monkeypatch.setenv("HEDDLE_LEDGER_KEY", "another key of enough length")
    assert heddle(state, "ledger", "verify").exit_code == 1
