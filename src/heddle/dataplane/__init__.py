"""The gateway: listener, router, route; the swap of a snapshot; the one place where a failure becomes an answer.

`supervisor` is the parent that opens sockets and keeps workers alive; `worker` is the process that serves;
`control` is what they say to each other; `gateway` is the request path; `admin` answers operators;
`exporter` ships what workers recorded. Configuration is compiled elsewhere: this package only swaps it.
"""
