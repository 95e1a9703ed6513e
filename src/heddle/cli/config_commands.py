"""`heddle validate`, `heddle schema`, `heddle explain`: everything about configuration but running it."""

import os
import shutil
import textwrap
from pathlib import Path

import click
import msgspec

from heddle.cli.kind_files import schema_named
from heddle.cli.options import MCP_CONFIG
from heddle.controlplane.load import Loaded, load
from heddle.model.crd import identity
from heddle.model.explain import Found, UnknownFieldError, find, heading
from heddle.model.fielddocs import AnyStruct, FieldView, class_doc, fields_of, tag_of
from heddle.model.schema import json_schema, kinds
from heddle.model.served import SERVED
from heddle.model.snapshot import Snapshot


@click.command()
@click.option(
    "-f",
    "--file",
    "paths",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="A file, or a folder of .yaml files. May be repeated; all are taken together.",
)
@MCP_CONFIG
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def validate(paths: tuple[Path, ...], mcp_json: Path | None, form: str) -> None:
    """Check a configuration and print every problem with its file, line and path.

    Secrets are resolved as `heddle up` would, with this environment. Exits with 1 when there are errors;
    warnings alone exit with 0.

    \b
    heddle validate -f heddle.yaml
    heddle validate -f base.yaml -f teams/ --format json
    """
    loaded = load(list(paths), environ=os.environ, mcp_json=mcp_json)
    click.echo(_as_json(loaded) if form == "json" else _as_text(loaded))
    if loaded.snapshot is None:
        raise SystemExit(1)


@click.command()
@click.option(
    "--kind", default="short", show_default=True, metavar="short|KIND", help="The short form, or a resource kind."
)
def schema(kind: str) -> None:
    """Print the JSON Schema of the configuration, for editors to complete and check from.

    \b
    heddle schema > heddle.schema.json
    heddle schema --kind Policy
    # then, as the first line of a config.yaml:
    # yaml-language-server: $schema=heddle.schema.json
    """
    made = json_schema(kind) if kind in kinds() else schema_named(kind)
    if made is None:
        known = [identity(struct)[1] for struct in SERVED]
        raise click.BadParameter(f"known are short, {', '.join(dict.fromkeys(known))}", param_hint="--kind")
    click.echo(msgspec.json.format(msgspec.json.encode(made), indent=2).decode())


@click.command()
@click.argument("field", default="")
def explain(field: str) -> None:
    """Explain a configuration field: its type, meaning, default and allowed values; for a section, its fields.

    \b
    heddle explain                            the top of a config.yaml
    heddle explain rate_limiting.limit_by
    heddle explain security.authentication
    heddle explain Policy.spec.rateLimit      the same in a resource
    heddle explain agents.spec.declarative    by the name that `heddle get` knows
    """
    try:
        found = find(field)
    except UnknownFieldError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(render(found, shutil.get_terminal_size().columns))


def render(found: Found, width: int) -> str:
    """The explanation of a field, wrapped to `width` columns."""
    width = max(40, min(width, 100))
    lines: list[str] = []
    for owner, view in found.views:
        lines += _field_lines(owner if len(found.views) > 1 else None, found.path, view, width)
    for section in found.sections:
        if lines:
            lines.append("")
        title = heading(section) if len(found.sections) > 1 or not found.views else "Fields:"
        lines += textwrap.wrap(title, width)
        lines += _child_lines(section, found.camel, width)
    return "\n".join(lines)


def _field_lines(owner: AnyStruct | None, path: str, view: FieldView, width: int) -> list[str]:
    tag = tag_of(owner) if owner is not None else None
    of = f"   (in {tag[0]}: {tag[1]})" if tag is not None else ""
    lines = [
        f"{path}   <{view.type}>{of}",
        *textwrap.wrap(view.doc, width, initial_indent="  ", subsequent_indent="  "),
    ]
    if view.choices:
        lines.append(f"  allowed: {', '.join(view.choices)}")
    lines.append("  required" if view.required else f"  default: {view.default}")
    return lines


def _child_lines(section: AnyStruct, camel: bool, width: int) -> list[str]:
    lines: list[str] = []
    for view in fields_of(section, camel=camel):
        mark = ", required" if view.required else ""
        lines.append(f"  {view.name}   <{view.type}{mark}>")
        lines += textwrap.wrap(view.doc, width, initial_indent="      ", subsequent_indent="      ")
    return lines or [f"  (no fields) {class_doc(section)}"]


def _as_text(loaded: Loaded) -> str:
    lines = [problem.line_text() for problem in loaded.problems]
    errors = sum(problem.severity == "error" for problem in loaded.problems)
    warnings = len(loaded.problems) - errors
    counts = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
    if loaded.snapshot is None:
        return "\n".join([*lines, f"invalid: {counts}"])
    lines.append(f"valid: {counts}; version {loaded.snapshot.version}")
    lines.append(f"active: {_active(loaded.snapshot, loaded.inactive)}")
    if loaded.inactive:
        lines.append(f"not active yet: {', '.join(loaded.inactive)}")
    return "\n".join(lines)


def _as_json(loaded: Loaded) -> str:
    shown = {
        "valid": loaded.snapshot is not None,
        "version": loaded.snapshot.version if loaded.snapshot is not None else None,
        "problems": loaded.problems,
        "resources": [f"{one.kind}/{one.metadata.name}" for one in loaded.resources],
        "active": _active(loaded.snapshot, loaded.inactive) if loaded.snapshot is not None else None,
        "inactive": loaded.inactive,
    }
    return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()


def _active(snapshot: Snapshot, inactive: tuple[str, ...]) -> str:
    """What will be served, in a line."""
    served = [one for one in snapshot.listeners if f"listener {one.name} ({one.protocol})" not in inactive]
    listeners = ", ".join(f"{one.name} on {one.address}:{one.port}" for one in served)
    models = _count(len(snapshot.models), "model") if snapshot.models else "any model"
    methods = ", ".join(str(entry.__struct_config__.tag) for entry in snapshot.authentication)
    logging, tracing = snapshot.observability.logging, snapshot.observability.tracing
    outputs = ", ".join(sink.type for sink in logging.sinks) if logging.enabled else ""
    mcp = snapshot.mcp
    parts = [
        f"listener {listeners}" if served else "no listener",
        f"{_count(len(snapshot.providers), 'provider')}, {models}",
        *(
            [f"{_count(len(mcp.servers), 'virtual server')} of {_count(len(mcp.targets), 'target')}"]
            * bool(mcp.servers)
        ),
        f"authentication {methods}" if methods else "no authentication",
        f"{_count(len(snapshot.authorization), 'policy', 'policies')}, {_count(len(snapshot.limits), 'limit')}",
        f"{_count(len(snapshot.budgets), 'budget')}, {_count(len(snapshot.guards), 'guard')}",
        f"traces to {tracing.endpoint}" if tracing.enabled and tracing.endpoint else "no traces",
        f"access records to {outputs}" if outputs else "no access records",
    ]
    return "; ".join(parts)


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"
