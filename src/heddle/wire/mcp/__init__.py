"""The Model Context Protocol on the wire: versions, header fields, names, results of both eras.

Pure: no I/O, no clock. Envelopes are `wire.jsonrpc`; what an exchange of messages means is for the fronts and targets.
*Source:* Model Context Protocol 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25 and 2026-07-28.
"""
