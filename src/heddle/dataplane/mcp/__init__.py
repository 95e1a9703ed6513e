"""MCP listeners: virtual servers, and the fronts that callers of each era meet them through.

`surface` is what a virtual server offers, merged from its targets; `server` answers the methods of the protocol in a
form that knows no era; `modern`, `legacy` and `sse` are the fronts; `sessions` what of a session is carried and kept.
"""
