"""Services that are described by OpenAPI, as tools: a document in, tool definitions, requests and results out.

`document` reads a document into a `Service`, `request` makes the HTTP request of a call, `answer` makes the result of
an HTTP answer, `selection` says which operations become tools. Documents are half trusted: nothing they name is
fetched, what they may cost is bounded, and no argument of a call reaches a place that its operation does not describe.
"""
