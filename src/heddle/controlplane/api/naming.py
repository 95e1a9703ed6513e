"""Names that objects, labels and finalizers may have.

*Source:* RFC 1123 section 2.1; RFC 1035 section 2.3.1; Kubernetes "Object Names and IDs", "Labels and Selectors".
"""

import re
import secrets
from typing import Any

from heddle.model.kinds import Kind
from heddle.wire.kube.status import Cause

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_is_label = re.compile(_LABEL).fullmatch
_is_subdomain = re.compile(_SUBDOMAIN).fullmatch
_is_dns_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?").fullmatch
_is_qualified = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]").fullmatch
_MAX_LABEL, _MAX_SUBDOMAIN, _MAX_ANNOTATIONS_BYTES = 63, 253, 256 * 1024
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
"""Letters of generated endings: no vowels, so no words; nothing that looks like something else."""
_SUFFIX_CHARS = 5

_SUBDOMAIN_SAID = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    rf"'{_LABEL}(\.{_LABEL})*')"
)
_LABEL_SAID = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_DNS_1035_SAID = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_QUALIFIED_SAID = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_SAID = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_LABELLED = {"namespaces": (_is_label, _LABEL_SAID), "services": (_is_dns_1035, _DNS_1035_SAID)}


def generated(prefix: str) -> str:
    """A name from `generateName`."""
    ending = "".join(secrets.choice(_SUFFIX) for _ in range(_SUFFIX_CHARS))
    return prefix[: _MAX_LABEL - _SUFFIX_CHARS] + ending


def name_causes(kind: Kind, name: str) -> list[Cause]:
    """What is wrong with an object's name."""
    if kind.group == "rbac.authorization.k8s.io":
        return _path_segment(name)
    is_right, said, most = _is_subdomain, _SUBDOMAIN_SAID, _MAX_SUBDOMAIN
    if kind.group == "" and kind.plural in _LABELLED:
        is_right, said = _LABELLED[kind.plural]
        most = _MAX_LABEL
    if len(name) > most:
        return [_invalid("metadata.name", name, f"must be no more than {most} characters")]
    return [] if is_right(name) else [_invalid("metadata.name", name, said)]


def _path_segment(name: str) -> list[Cause]:
    # Names of roles may hold colons and capitals; the URL is all that limits them.
    if len(name) > _MAX_SUBDOMAIN:
        return [_invalid("metadata.name", name, f"must be no more than {_MAX_SUBDOMAIN} characters")]
    if name in {".", ".."} or "/" in name or "%" in name or not name.isprintable():
        return [_invalid("metadata.name", name, "may not be '.' or '..', nor contain '/' or '%'")]
    return []


def metadata_causes(metadata: dict[str, Any]) -> list[Cause]:
    """What is wrong with labels, annotations, finalizers and owner references, whose types are right."""
    found: list[Cause] = []
    for key, value in (metadata.get("labels") or {}).items():
        found += _key_causes(key, "metadata.labels")
        if len(value) > _MAX_LABEL or (value and not _is_qualified(value)):
            found.append(_invalid("metadata.labels", value, _VALUE_SAID))
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        found += _key_causes(key, "metadata.annotations")
    if annotations and sum(len(key) + len(value) for key, value in annotations.items()) > _MAX_ANNOTATIONS_BYTES:
        message = f"Too long: may not be more than {_MAX_ANNOTATIONS_BYTES} bytes"
        found.append(Cause("FieldValueTooLong", message, "metadata.annotations"))
    for finalizer in metadata.get("finalizers") or ():
        found += _key_causes(finalizer, "metadata.finalizers")
    return found + _owner_causes(metadata.get("ownerReferences") or [])


def _key_causes(key: str, field: str) -> list[Cause]:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > _MAX_SUBDOMAIN or not _is_subdomain(prefix)):
        return [_invalid(field, key, f"prefix part {_SUBDOMAIN_SAID}")]
    if not name or len(name) > _MAX_LABEL or not _is_qualified(name):
        return [_invalid(field, key, _QUALIFIED_SAID)]
    return []


def _owner_causes(owners: list[dict[str, Any]]) -> list[Cause]:
    found = []
    for index, owner in enumerate(owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                where = f"metadata.ownerReferences[{index}].{field}"
                found.append(Cause("FieldValueRequired", "Required value: must not be empty", where))
    if sum(owner.get("controller") is True for owner in owners) > 1:
        message = "Invalid value: only one reference can have controller set to true"
        found.append(Cause("FieldValueInvalid", message, "metadata.ownerReferences"))
    return found


def _invalid(field: str, value: str, why: str) -> Cause:
    shown = value if len(value) <= 300 else value[:300] + "..."
    return Cause("FieldValueInvalid", f'Invalid value: "{shown}": {why}', field)
