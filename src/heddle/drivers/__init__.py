"""Small protocols to things that keep state or ship it elsewhere, and their implementations.

Owns, per kind, one protocol and one file for each implementation: `counters` (limits), `sinks` (records and
spans). A driver raises `ConnectionError` or `TimeoutError` when what it talks to is away, and knows nothing of calls,
policies or configuration. Only `plugins` and the process entry points name an implementation; everybody else
is handed one that fulfils the protocol, and one contract suite per kind (`tests/contract`) says what that means.
"""
