"""Sockets: HTTP/1.1 server and client engines, pool, TLS, deadlines, limits, drain.

The only package that opens a socket on the hot path. It knows messages, not calls: what a request is for,
who may make it and in which dialect a refusal is written is decided above. The rules of the protocol are
pure functions in `wire.http1`; here they meet transports, clocks and memory bounds. Everything is an
`asyncio.Protocol`; nothing buffers more than one watermark of unread bytes per direction.
"""
