"""Parts by hand."""

from heddle.controlplane.distribution.views import Part, part_of
from heddle.model.parts import SnapshotPart, encode_body, encode_part
from heddle.model.snapshot import ListenerSpec


def part(
    name: str, text: str = "", *gateways: str, protocols: tuple[str, ...] = (), secrets: tuple[str, ...] = ()
) -> Part:
    body = encode_body(text)
    return part_of(name, encode_part(SnapshotPart(body=body, secrets=secrets)), gateways, protocols)


def listener(name: str, protocol: str, *gateways: str) -> Part:
    body = encode_body(ListenerSpec(name=name, address="127.0.0.1", port=1, protocol=protocol))
    return part_of(name, encode_part(SnapshotPart(body=body)), gateways)
