"""The stdio host: runs tool servers that speak over standard input and output, and offers each as streamable HTTP.

A process of its own, so that a gateway worker never forks, and a tool server that hangs, floods or dies takes nothing
else down. It listens on one Unix socket; `POST /t/<target>` and its kin bridge to a child process. It is a bridge and
no translator: it knows ids, progress tokens and streams, and nothing of tools or protocol eras beyond where a message
belongs.

`process` runs one server behind its `watchdog`; `child` is the conversation with it; `target` decides which child a
caller gets, and when one starts and stops; `bridge` is HTTP; `host` is the process, told what to run over `control`.
"""
