"""Sealed values, as whoever proves callers and sessions imports them.

Owns nothing: what seals keeps a file of keys, so it is a driver, and every worker is handed one (`Tools.sealing`).
"""

from heddle.drivers.sealing import SealError, Sealing

__all__ = ["SealError", "Sealing"]
