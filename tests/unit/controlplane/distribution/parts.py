"""Parts by hand."""

from heddle.controlplane.distribution.views import Part


def part(text: str = "", *gateways: str) -> Part:
    """For these gateways, or for all."""
    return Part(text.encode(), frozenset(gateways) if gateways else None)
