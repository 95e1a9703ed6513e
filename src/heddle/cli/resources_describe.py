"""`heddle describe`: one resource in full, with what became of it and what happened lately."""

from datetime import UTC, datetime
from typing import Any

import click

from heddle.cli.resources_asking import Refused, Server, reached
from heddle.cli.resources_get import ALL_SPACES, SELECTOR, listed, space_of
from heddle.cli.resources_names import Served
from heddle.cli.resources_shown import plain
from heddle.cli.resources_yaml import as_yaml
from heddle.drivers.kube.client import path_of
from heddle.wire.kube.status import ApiError

MAX_EVENTS = 20


@click.command()
@reached
@click.argument("words", nargs=-1, required=True, metavar="KIND [NAME...] | KIND/NAME...")
@ALL_SPACES
@SELECTOR
def describe(server: Server, words: tuple[str, ...], everywhere: bool, selector: str) -> None:
    """Show resources in full: what was declared, what became of it, and what happened lately.

    \b
    heddle describe agent support
    heddle describe policies -A
    heddle describe gateway edge-1
    """
    served = Served(server)
    kinds, named = served.named(words)
    try:
        found = [(kind, server.get(path_of(kind, space_of(server, kind), name))) for kind, name in named]
        query = {"labelSelector": selector} if selector else {}
        found += [(kind, one) for kind in kinds for one in listed(server, kind, query, everywhere=everywhere)]
        texts = [_described(value, _events(server, value)) for _, value in found]
    except ApiError as exc:
        raise Refused(exc) from exc
    click.echo("\n\n".join(texts) if texts else "nothing found", err=not texts)


def _events(server: Server, value: dict[str, Any]) -> list[dict[str, Any]]:
    """What happened to an object, the latest last; none where events may not be read."""
    meta = value["metadata"]
    fields = f"involvedObject.uid={meta.get('uid', '')}"
    space = f"/namespaces/{meta['namespace']}" if meta.get("namespace") else ""
    try:
        found = server.get(f"/api/v1{space}/events", {"fieldSelector": fields})
    except ApiError:
        return []
    return sorted(found.get("items") or [], key=lambda one: str(one.get("lastTimestamp") or one.get("eventTime")))


def _described(value: dict[str, Any], events: list[dict[str, Any]]) -> str:
    meta, status = value["metadata"], value.get("status") or {}
    lines = [f"{'Name:':<12} {meta['name']}"]
    lines += [f"{'Namespace:':<12} {meta['namespace']}"] if meta.get("namespace") else []
    lines.append(f"{'Kind:':<12} {value['kind']} of {value['apiVersion']}")
    for title in ("labels", "annotations"):
        lines += _pairs(title, meta.get(title) or {})
    lines.append(f"{'Made:':<12} {meta.get('creationTimestamp', '')}{_age(meta.get('creationTimestamp'))}")
    if meta.get("deletionTimestamp"):
        lines.append(f"{'Deleted:':<12} {meta['deletionTimestamp']}, waits for {', '.join(meta.get('finalizers', ()))}")
    conditions = status.get("conditions") or []
    if conditions:
        lines.append("Conditions:")
        lines += [_condition(one) for one in conditions if isinstance(one, dict)]
    rest = {name: part for name, part in value.items() if name not in ("apiVersion", "kind", "metadata", "status")}
    if value["kind"] == "Secret":
        rest = {
            **rest,
            **{field: dict.fromkeys(rest[field], "(hidden)") for field in ("data", "stringData") if field in rest},
        }
    more = {name: part for name, part in status.items() if name != "conditions"}
    lines += [as_yaml(rest).rstrip()] if rest else []
    lines += [as_yaml({"status": more}).rstrip()] if more else []
    lines += ["Events:", *map(_event, events[-MAX_EVENTS:])] if events else []
    return "\n".join(lines)


def _pairs(title: str, pairs: dict[str, str]) -> list[str]:
    hidden = ("kubectl.kubernetes.io/last-applied-configuration",)
    shown = [f"{name}={plain(value)}" for name, value in pairs.items() if name not in hidden]
    head = f"{title.capitalize()}:"
    return [f"{head if not index else '':<12} {text}" for index, text in enumerate(shown)]


def _condition(one: dict[str, Any]) -> str:
    good = one.get("status") == "True"
    head = f"  {one.get('type', ''):<16} {one.get('status', ''):<8} {one.get('reason', ''):<20}"
    text = f"{head} {plain(one.get('message', ''))}"
    return click.style(text.rstrip(), fg=None if good else "red" if one.get("status") == "False" else "yellow")


def _event(one: dict[str, Any]) -> str:
    said = plain(one.get("message") or one.get("note") or "")
    return f"  {one.get('type', ''):<8} {one.get('reason', ''):<20} {said}"


def _age(stamp: Any) -> str:
    try:
        seconds = int((datetime.now(UTC) - datetime.fromisoformat(str(stamp))).total_seconds())
    except (ValueError, TypeError):
        return ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f" ({seconds // size}{unit} ago)"
    return f" ({max(seconds, 0)}s ago)"
