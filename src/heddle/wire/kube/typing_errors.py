"""Whether a configuration that is applied can be read by its schema at all, before anything is merged.

Owns the errors of that, in the words of kube-apiserver: a field nobody declared, a value of another form, an item of a
list that cannot be told from the others. kube-apiserver answers them with 500; they are the caller's, so it is 400.
*Source:* structured-merge-diff v6, typed/validate; recorded answers of kube-apiserver 1.36.
"""

from typing import Any

from heddle.wire.kube.fieldsets import shown_step
from heddle.wire.kube.report import shown
from heddle.wire.kube.status import bad_request
from heddle.wire.kube.structure import Structure
from heddle.wire.kube.typed import UnkeyedError, step_of

MAX_ERRORS = 16

_SCALARS: dict[str, tuple[frozenset[type], str]] = {
    "integer": (frozenset({int, float}), "expected numeric (int or float), got {kind}"),
    "number": (frozenset({int, float}), "expected numeric (int or float), got {kind}"),
    "string": (frozenset({str}), "expected string, got {value}"),
    "boolean": (frozenset({bool}), "expected boolean, got {value}"),
    "": (frozenset({int, float, str, bool}), "expected any scalar, got {value}"),
}
_KINDS = {
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
    list: "[]interface {}",
    dict: "map[string]interface {}",
}


def check_typed(config: dict[str, Any], structure: Structure) -> None:
    """ApiError 400 with everything that keeps a configuration from being merged."""
    errors: list[str] = []
    _check(config, structure, "", errors)
    if errors:
        metadata = config.get("metadata")
        named = metadata if type(metadata) is dict else {}
        group, _, version = str(config.get("apiVersion", "")).rpartition("/")
        version = f"{group}/{version}" if group else version
        about = f"{named.get('namespace', '')}/{named.get('name', '')}; {version}, Kind={config.get('kind', '')}"
        said = errors[0] if len(errors) == 1 else "errors:\n  " + "\n  ".join(errors)
        raise bad_request(f"failed to create typed patch object ({about}): {said}")


def _check(value: Any, structure: Structure, path: str, errors: list[str]) -> None:
    if structure.deduced or value is None or len(errors) >= MAX_ERRORS:
        return
    if structure.form == "map":
        if type(value) is dict:
            _check_map(value, structure, path, errors)
        else:
            _add(errors, path, f"expected map, got {shown(value)}")
    elif structure.form == "list":
        if type(value) is list:
            _check_list(value, structure, path, errors)
        else:
            _add(errors, path, f"expected list, got {shown(value)}")
    else:
        allowed, words = _SCALARS[structure.type]
        if type(value) not in allowed:
            _add(errors, path, words.format(kind=_KINDS.get(type(value), "value"), value=shown(value)))


def _check_map(value: dict[str, Any], structure: Structure, path: str, errors: list[str]) -> None:
    for name, item in value.items():
        below = structure.below(name)
        if below is None:
            _add(errors, f"{path}.{name}", "field not declared in schema")
        else:
            _check(item, below, f"{path}.{name}", errors)


def _check_list(value: list[Any], structure: Structure, path: str, errors: list[str]) -> None:
    seen: set[str] = set()
    items = structure.items
    for index, item in enumerate(value):
        shown_at = f"[{index}]"
        if structure.relation != "atomic":
            try:
                step = step_of(item, structure)
            except UnkeyedError as exc:
                _add(errors, path, f"element {index}: {exc}")
                return
            shown_at = shown_step(step)
            if step in seen:
                _add(errors, path, f"duplicate entries for key {shown_at}")
            seen.add(step)
        if items is not None:
            _check(item, items, path + shown_at, errors)


def _add(errors: list[str], path: str, detail: str) -> None:
    if len(errors) < MAX_ERRORS:
        errors.append(f"{path}: {detail}" if path else detail)
