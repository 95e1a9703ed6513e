"""Where a call goes: from the name a caller used to the model, provider and endpoint that answer it.

Owns the choice, and decides it from tables built once per snapshot, at a cost that does not grow with them.
It opens no connection: `backends` does what is decided here.
"""
