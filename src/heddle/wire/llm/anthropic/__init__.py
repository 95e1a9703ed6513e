"""Anthropic messages, all faces of the format, and its token counting.

`codec` and `count` are its faces at the door, `dialect` the caller's side of a translation, `vendor` the provider's.
What they share (token counts, errors, signatures) has a file of its own. Nothing here opens a connection or reads a
clock.

*Source:* Anthropic API reference, "Messages", "Count tokens", "Streaming Messages" and "Errors", as of 2026-11; the
types of the `anthropic` SDK 2.12.
"""
