"""The ledger: what every settled call used and cost, on local disk, append-only and chained with a key.

Owns the entry and the promise: an entry that was appended survives kill -9 of its process, and whoever changes,
removes, reorders or cuts off entries without the key is found by `verify`. A power loss may take what was written
since the parent's last fdatasync, about a second; `verify` then says which entries the head still knows of.

It cannot find one thing by itself: the whole directory put back to an earlier copy of itself. Heads that were carried
elsewhere (`heddle ledger head`, or the audit record of the same) do.
"""

import msgspec

NANO = 1_000_000_000
"""Nano-dollars in a dollar. Money is counted in whole ones: a token of the cheapest model costs about twenty."""


class LedgerError(Exception):
    """The ledger cannot be opened; the message says why, without the key."""


class Entry(msgspec.Struct, omit_defaults=True, gc=False):
    """One settled call. Names are those of the access record, where it has them."""

    n: int = 0
    """Number in the chain of its writer, from 1 without gaps; given when it is appended."""
    t: float = 0.0
    """Unix time at which the call ended, in seconds."""
    took: float = 0.0
    """Seconds from its beginning: a budget counts a call in the window that it began in."""
    tenant: str = ""
    user: str = ""
    agent: str = ""
    key: str = ""
    """`key_id` of the credential, never the key."""
    session: str = ""
    model: str = ""
    """The configured model; `upstream` is the provider's name for what answered."""
    upstream: str = ""
    provider: str = ""
    operation: str = ""
    status: int = 0
    reason: str = ""
    input: int = 0
    """Tokens; `cached` and `written` are parts of input, `reasoning` is a part of output."""
    output: int = 0
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    nano_usd: int | None = None
    """Price in nano-dollars; absent when no price is known, which is counted as zero and marked by its absence."""
    estimated: bool = False
    """The provider never said: tokens, and so the price, are estimates."""
    trace: str = ""
    server: str = ""
    """Of a tool's call, the virtual MCP server; `target` is who answered for it."""
    target: str = ""
    tool: str = ""
    """`target/name`: stable, whatever callers see. Set only in entries of tools, which have no tokens."""
