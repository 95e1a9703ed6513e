"""Tool servers behind the gateway: each way to reach one is a target, and all targets look the same.

A target takes a request in the canonical form, with the caller on whose behalf it is made, and gives back the result
as raw JSON. Notifications and questions of the server go to the caller while the request is under way. What era a
caller is of, a target need not know, except where both sides share what the other era does not have.
"""
