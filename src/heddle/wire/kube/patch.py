"""Patches: what an object is after one. Merge patches, JSON patches; strategic ones have a module of their own.

Owns their errors and bounds. The object that is patched is never changed and shares nothing with what comes back. It
refuses patches of too many operations, and such that grow an object by copying it into itself.
*Source:* RFC 7396 (merge patch); RFC 6902 (JSON patch), RFC 6901 (pointers); limits and answers of kube-apiserver 1.36.
"""

from collections.abc import Mapping
from typing import Any

from heddle.wire.kube.status import ApiError, bad_request
from heddle.wire.kube.strategic import strategic_patch
from heddle.wire.kube.values import ABSENT, MAX_DEPTH, copied, encoded, same

__all__ = ["json_patch", "merge_patch", "strategic_patch"]

MAX_OPERATIONS = 10_000
"""Of one JSON patch."""
MAX_COPIED = 3 * 1024 * 1024
"""Bytes, as JSON, that the copies of one JSON patch may add."""


# Merge patch


def merge_patch(live: Mapping[str, Any], patch: Any) -> dict[str, Any]:
    """`live` with a merge patch. ApiError 400 for a patch that is no object."""
    if type(patch) is not dict:
        raise bad_request(f"a merge patch is an object, not {_kind(patch)}")
    made: dict[str, Any] = copied(dict(live))
    _merge(made, patch, 0)
    return made


def _merge(target: dict[str, Any], patch: dict[str, Any], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise bad_request(f"the patch is nested more than {MAX_DEPTH} levels deep")
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif type(value) is dict:
            below = target.get(name)
            if type(below) is not dict:
                below = target[name] = {}
            _merge(below, value, depth + 1)
        else:
            target[name] = copied(value)


# JSON patch


class _FailedError(Exception):
    """An operation that cannot be done; says why, without values of the object."""


def json_patch(live: Mapping[str, Any], operations: Any) -> dict[str, Any]:
    """`live` after the operations of a JSON patch, all of them or none.

    ApiError 400 for what is no JSON patch, 422 for an operation that fails, 413 for one that is too large.
    """
    if type(operations) is not list:
        raise bad_request(f"a JSON patch is a list of operations, not {_kind(operations)}")
    if len(operations) > MAX_OPERATIONS:
        many = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise ApiError(413, "RequestEntityTooLarge", many)
    root = {"": copied(dict(live))}
    budget = MAX_COPIED
    for index, operation in enumerate(operations):
        name, path = _read(operation, index)
        try:
            budget -= _do(root, name, path, operation)
        except _FailedError as exc:
            raise _refused(f"operation {index} ({name} {path[:256]!r}): {exc}") from exc
        if budget < 0:
            raise ApiError(413, "RequestEntityTooLarge", "the copies of the JSON patch are too large")
    made = root.get("")
    if type(made) is not dict:
        raise _refused("the patch leaves no object")
    return copied(made)  # type: ignore[no-any-return]


def _refused(why: str) -> ApiError:
    message = f"the server rejected our request due to an error in our request: {why}"
    return ApiError(422, "Invalid", message, {})


def _read(operation: Any, index: int) -> tuple[str, str]:
    if type(operation) is not dict:
        raise bad_request(f"operation {index} of the JSON patch is {_kind(operation)}, not an object")
    name, path = operation.get("op"), operation.get("path")
    if name not in _OPERATIONS:
        raise bad_request(f"operation {index} of the JSON patch: op is one of {', '.join(_OPERATIONS)}")
    if type(path) is not str or (path and not path.startswith("/")):
        raise bad_request(f"operation {index} of the JSON patch: path is a JSON pointer such as /spec/replicas")
    if name in {"copy", "move"} and type(operation.get("from")) is not str:
        raise bad_request(f"operation {index} of the JSON patch: {name} needs from")
    if name in {"add", "replace"} and "value" not in operation:
        raise bad_request(f"operation {index} of the JSON patch: {name} needs value")
    return name, path


def _do(root: dict[str, Any], name: str, path: str, operation: Mapping[str, Any]) -> int:
    """Do one operation; how many bytes it copied."""
    if name == "test":
        _test(root, path, operation.get("value"))
    elif name == "remove":
        _remove(root, path)
    elif name == "replace":
        _find(root, path)
        _put(root, path, copied(operation["value"]), insert=False)
    elif name == "add":
        _put(root, path, copied(operation["value"]), insert=True)
    elif name == "move":
        source = operation["from"]
        if path.startswith(f"{source}/"):
            raise _FailedError("a value cannot be moved into itself")
        if path != source:
            _put(root, path, _remove(root, source), insert=True)
        else:
            _find(root, source)
    else:
        value = copied(_find(root, operation["from"]))
        _put(root, path, value, insert=True)
        return len(encoded(value))
    return 0


_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")


def _test(root: dict[str, Any], path: str, wanted: Any) -> None:
    try:
        found = _find(root, path)
    except _FailedError:
        # As kube-apiserver has it: a value that is not there is null.
        if wanted is None:
            return
        raise
    if not same(found, wanted):
        raise _FailedError("the value there is not the one tested for")


def _steps(path: str) -> list[str]:
    """A pointer as steps; the first leads from the holder of the document to the document."""
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")]


def _find(root: dict[str, Any], path: str) -> Any:
    found: Any = root
    for step in _steps(path):
        found = _below(found, step)
    return found


def _below(value: Any, step: str) -> Any:
    if type(value) is dict:
        found = value.get(step, ABSENT)
        if found is ABSENT:
            raise _FailedError("there is nothing there")
        return found
    if type(value) is list:
        return value[_index(step, len(value) - 1)]
    raise _FailedError("there is nothing there")


def _index(step: str, last: int) -> int:
    canonical = step == "0" or (step.isascii() and step.isdigit() and step[0] != "0" and len(step) < 10)
    if not canonical:
        raise _FailedError(f"{step[:64]!r} is not an index of a list")
    if int(step) > last:
        raise _FailedError(f"the list has no index {step}")
    return int(step)


def _holder(root: dict[str, Any], path: str) -> tuple[Any, str]:
    steps = _steps(path)
    found: Any = root
    for step in steps[:-1]:
        found = _below(found, step)
    return found, steps[-1]


def _put(root: dict[str, Any], path: str, value: Any, *, insert: bool) -> None:
    holder, step = _holder(root, path)
    if type(holder) is dict:
        holder[step] = value
    elif type(holder) is list:
        if insert and step == "-":
            holder.append(value)
        elif insert:
            holder.insert(_index(step, len(holder)), value)
        else:
            holder[_index(step, len(holder) - 1)] = value
    else:
        raise _FailedError("there is nothing that could hold it")


def _remove(root: dict[str, Any], path: str) -> Any:
    holder, step = _holder(root, path)
    value = _below(holder, step)
    if type(holder) is dict:
        del holder[step]
    else:
        del holder[_index(step, len(holder) - 1)]
    return value


def _kind(value: Any) -> str:
    return {list: "a list", dict: "an object", str: "a text", type(None): "null"}.get(type(value), "a number")
