"""`heddle wait`: until resources are as a script needs them."""

import time
from typing import Any

import click

from heddle.cli.resources_asking import Refused, Server, reached
from heddle.cli.resources_get import ALL_SPACES, SELECTOR, listed, space_of
from heddle.cli.resources_jsonpath import TemplateError, look_up
from heddle.cli.resources_names import Served, shown
from heddle.drivers.kube.client import path_of
from heddle.model.formats import complaint, duration_s
from heddle.model.kinds import Kind
from heddle.wire.kube.status import ApiError

_PAUSE_S = 0.2


class Goal:
    """What is waited for: `condition=TYPE[=STATUS]`, `delete`, `jsonpath=PATH[=VALUE]`."""

    def __init__(self, text: str) -> None:
        """Raises click.BadParameter."""
        self.kind, _, rest = text.partition("=")
        self.text = text
        self.name, _, self.value = rest.strip("{}").partition("=")
        if self.kind == "jsonpath":
            self.name, self.value = rest.partition("}")[0].lstrip("{"), rest.partition("}")[2].lstrip("=")
            try:
                look_up(self.name, {})
            except TemplateError as exc:
                raise click.BadParameter(str(exc), param_hint="--for") from exc
        if self.kind not in ("condition", "delete", "jsonpath") or (self.kind != "delete" and not self.name):
            expected = "condition=Ready, condition=Ready=False, delete, or jsonpath='{.status.phase}'=Active"
            raise click.BadParameter(f"expected {expected}, got {text!r}", param_hint="--for")

    def is_met(self, value: dict[str, Any] | None) -> bool:
        """Whether an object, None for one that is not there, is as it shall be."""
        if self.kind == "delete" or value is None:
            return value is None and self.kind == "delete"
        if self.kind == "jsonpath":
            found = [str(one).lower() if isinstance(one, bool) else str(one) for one in look_up(self.name, value)]
            return self.value in found if self.value else bool(found)
        return any(self._fits(one, value) for one in (value.get("status") or {}).get("conditions") or ())

    def _fits(self, condition: dict[str, Any], value: dict[str, Any]) -> bool:
        if str(condition.get("type")).lower() != self.name.lower():
            return False
        # What was said of an earlier generation says nothing of this one.
        seen = condition.get("observedGeneration") or (value.get("status") or {}).get("observedGeneration")
        if seen and seen < value["metadata"].get("generation", 0):
            return False
        return str(condition.get("status")).lower() == (self.value or "True").lower()


@click.command("wait")
@reached
@click.argument("words", nargs=-1, required=True, metavar="KIND NAME... | KIND/NAME... | KIND [-l LABELS]")
@click.option("--for", "goal", required=True, metavar="GOAL", help="condition=TYPE[=STATUS], delete, jsonpath=...")
@click.option("--timeout", default="30s", show_default=True, metavar="DURATION", help="Longest time for all of them.")
@ALL_SPACES
@SELECTOR
def wait(server: Server, words: tuple[str, ...], goal: str, timeout: str, everywhere: bool, selector: str) -> None:
    """Wait until resources are as they shall be; exits with 1 when they are not in time.

    \b
    heddle wait agent support --for=condition=Accepted
    heddle wait policies -l team=shop --for=condition=Accepted --timeout 2m
    heddle wait agent support --for=delete
    heddle wait ns shop --for=jsonpath='{.status.phase}'=Active
    """
    wanted = Goal(goal)
    if complaint("duration", timeout):
        raise click.BadParameter(complaint("duration", timeout), param_hint="--timeout")
    until_s = time.monotonic() + duration_s(timeout)
    kinds, named = Served(server).named(words)
    query = {"labelSelector": selector} if selector else {}
    try:
        which = [(kind, space_of(server, kind), name) for kind, name in named]
        for kind in kinds:
            metas = [one["metadata"] for one in listed(server, kind, query, everywhere=everywhere)]
            which += [(kind, meta.get("namespace", ""), meta["name"]) for meta in metas]
        if not which and wanted.kind != "delete":
            raise click.ClickException("nothing fits, so there is nothing to wait for")
        for one in which:
            _until(server, one, wanted, until_s)
    except ApiError as exc:
        raise Refused(exc) from exc


def _until(server: Server, which: tuple[Kind, str, str], wanted: Goal, until_s: float) -> None:
    kind, space, name = which
    path = path_of(kind, space, name)
    while True:
        try:
            value = server.get(path)
        except ApiError as exc:
            if exc.code != 404:
                raise
            value = None
        if wanted.is_met(value):
            click.echo(f"{shown(kind, name)}: {wanted.text} is met")
            return
        if value is None and wanted.kind != "delete":
            raise click.ClickException(f"{shown(kind, name)} is not there")
        if time.monotonic() > until_s:
            raise click.ClickException(f"{shown(kind, name)}: {wanted.text} was not met in time")
        time.sleep(_PAUSE_S)
