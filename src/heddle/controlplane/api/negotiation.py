"""In which form a client wants its answer: objects, a Table, or metadata alone.

Answers JSON always: every client that sends protobuf also reads JSON.
*Source:* Kubernetes API concepts, "Alternate representations of resources"; RFC 9110 section 12.5.1.
"""

import functools
from typing import NamedTuple

from heddle.wire.kube.status import ApiError

ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
_MAX_ACCEPT = 2048


class Form(NamedTuple):
    """What is answered."""

    shape: str = "object"
    """`object`, `table`, `metadata`."""
    content_type: str = "application/json"


OBJECT = Form()


@functools.lru_cache(maxsize=256)
def form(accept: str) -> Form:
    """The first form in the Accept header that is served. Raises ApiError 406."""
    if not accept or len(accept) > _MAX_ACCEPT:
        return OBJECT
    for clause in accept.split(","):
        media, parameters = _clause(clause)
        if media in {"*/*", "application/*"}:
            return OBJECT
        if media != "application/json":
            continue
        wanted = parameters.get("as", "")
        if not wanted:
            return OBJECT
        served = _transformed(wanted, parameters)
        if served is not None:
            return served
    raise ApiError(406, "NotAcceptable", f"only the following media types are accepted: {ACCEPTED}")


def _transformed(wanted: str, parameters: dict[str, str]) -> Form | None:
    if parameters.get("g") != "meta.k8s.io" or parameters.get("v") != "v1":
        return None
    shapes = {"Table": "table", "PartialObjectMetadata": "metadata", "PartialObjectMetadataList": "metadata"}
    shape = shapes.get(wanted)
    return Form(shape) if shape else None


def _clause(text: str) -> tuple[str, dict[str, str]]:
    media, *rest = text.split(";")
    parameters = {}
    for one in rest:
        name, _, value = one.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    return media.strip().lower(), parameters


@functools.lru_cache(maxsize=64)
def aggregated_discovery(accept: str) -> str:
    """Version of aggregated discovery that is asked for before plain JSON: `v2`, `v2beta1` or ''."""
    for clause in accept[:_MAX_ACCEPT].split(","):
        media, parameters = _clause(clause)
        if media not in {"application/json", "*/*"}:
            continue
        if parameters.get("as") == "APIGroupDiscoveryList" and parameters.get("g") == "apidiscovery.k8s.io":
            if parameters.get("v") in {"v2", "v2beta1"}:
                return parameters["v"]
            continue
        return ""
    return ""
