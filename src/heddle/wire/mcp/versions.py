"""The released protocol versions, and the two eras they fall into.

Legacy versions begin with `initialize` and keep a session; from 2026-07-28 on every request stands alone.
*Source:* Model Context Protocol, "Versioning".
"""

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = ("2026-07-28",)
VERSIONS = (*LEGACY, *MODERN)
LATEST_LEGACY = LEGACY[-1]
LATEST = MODERN[-1]
UNSTATED = "2025-03-26"
"""What a request without a version field means ("Protocol Version Header" of 2025-06-18)."""


def negotiated(asked: str) -> str:
    """The version a legacy server answers `initialize` with: the one asked for, or the newest it has."""
    return asked if asked in LEGACY else LATEST_LEGACY


def at_least(version: str, other: str) -> bool:
    """Whether `version` is a known one and not older than `other`."""
    return version in VERSIONS and VERSIONS.index(version) >= VERSIONS.index(other)
