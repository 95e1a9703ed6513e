"""`heddle ledger`: is it what was written, and how far does it reach."""

import json
import os
import time
from pathlib import Path

import click
import msgspec

from heddle.cli.up import default_state_dir
from heddle.drivers.ledger import LedgerError, keys
from heddle.drivers.ledger.chain import SEAL_BYTES, Seal
from heddle.drivers.ledger.heads import Head, read_heads
from heddle.drivers.ledger.verify import Verdict
from heddle.drivers.ledger.verify import verify as verify_ledger
from heddle.telemetry.lines import timestamp

KEY_VARIABLE = "HEDDLE_LEDGER_KEY"

_state = click.option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="HEDDLE_STATE",
    default=None,
    metavar="DIR",
)


@click.group()
def ledger() -> None:
    """The record of what every settled call used and cost.

    Each worker writes a chain of entries, sealed with a key (HMAC-SHA256); a head says how far each chain reaches.

    \b
    heddle ledger verify                     is every entry what was written?
    heddle ledger head > heads.json          carry this elsewhere ...
    heddle ledger verify --anchor heads.json ... and nobody can put an earlier copy back unseen
    heddle usage                             what is in it
    """


@ledger.command()
@_state
@click.option(
    "--key-file",
    "key_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"A key it was sealed with; unset is ${KEY_VARIABLE}, then the one beside it. May be repeated.",
)
@click.option(
    "--anchor", type=click.Path(path_type=Path, dir_okay=False), help="What `heddle ledger head` once printed."
)
@click.option("--archived", is_flag=True, help="The oldest segments were moved elsewhere.")
@click.option("--json", "as_json", is_flag=True)
def verify(
    state_dir: Path | None, key_files: tuple[Path, ...], anchor: Path | None, archived: bool, as_json: bool
) -> None:
    """Check every entry of every chain, also while the mesh writes.

    Finds a changed byte, entries or segments that were cut off, removed or reordered, and chains that were computed
    anew without the key; says where. Exits with 1 when anything is wrong, with 2 when it cannot be checked.
    """
    directory = _directory(state_dir)
    try:
        seals = _seals(directory, key_files)
        anchors = _anchors(anchor) if anchor is not None else None
        verdict = verify_ledger(directory, seals, archived=archived, anchors=anchors)
    except (LedgerError, OSError, ValueError) as exc:
        click.echo(f"the ledger cannot be checked: {exc}", err=True)
        raise SystemExit(2) from exc
    click.echo(_json(verdict) if as_json else _text(verdict))
    if not verdict.sound:
        raise SystemExit(1)


@ledger.command()
@_state
def head(state_dir: Path | None) -> None:
    """Print how far each chain reaches, to be kept where nobody who can change the ledger can change it.

    \b
    heddle ledger head | ssh audit@elsewhere 'cat >> heads.jsonl'
    """
    directory = _directory(state_dir)
    try:
        click.echo(json.dumps({"time": timestamp(time.time()), "heads": read_heads(directory)}))
    except (LedgerError, OSError) as exc:
        raise click.ClickException(f"the heads of {directory} cannot be read: {exc}") from exc


def _directory(state_dir: Path | None) -> Path:
    directory = (state_dir or default_state_dir()) / "ledger"
    if not directory.is_dir():
        raise click.ClickException(f"there is no ledger in {directory.parent}")
    return directory


def _seals(directory: Path, key_files: tuple[Path, ...]) -> list[Seal]:
    given = os.environ.get(KEY_VARIABLE, "")
    found = [Seal(keys.read(path)) for path in key_files]
    if given and not found:
        found.append(Seal(given.encode()))
    if not found or (directory / keys.FILE).exists():
        found.append(Seal(keys.read(directory / keys.FILE)))
    return found


def _anchors(path: Path) -> dict[int, Head]:
    """The last line of a file of heads. ValueError when it is none."""
    lines = path.read_text().strip().splitlines()
    try:
        heads = json.loads(lines[-1])["heads"]
        found = {}
        for slot, text in heads.items():
            entries, _, seal = text.partition(":")
            raw = bytes.fromhex(seal)
            if len(raw) != SEAL_BYTES:
                raise ValueError("a seal of another length")
            found[int(slot)] = Head(int(entries), 0, raw, bytes(SEAL_BYTES))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as exc:
        raise ValueError(f"{path} is not what `heddle ledger head` prints") from exc
    return found


def _json(verdict: Verdict) -> str:
    return json.dumps({"sound": verdict.sound, **msgspec.to_builtins(verdict)}, indent=2)


def _text(verdict: Verdict) -> str:
    lines = [
        f"chain {one.slot}: {one.entries} entries in {one.segments} segments proven"
        + (f", of {one.head}" if one.head > one.entries else "")
        for one in verdict.chains
    ]
    if verdict.sound:
        return "\n".join([*lines, "sound: every entry is what was written"])
    found = [click.style(f"{one.place}: {one.what}", fg="red") for one in verdict.findings]
    return "\n".join([*lines, *found, f"not sound: {len(found)} findings"])
