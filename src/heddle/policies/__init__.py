"""What stands around a call before it reaches its backend: one file for each concern.

Each module exports `build(snapshot, tools) -> Policy | None`; None when the snapshot declares none of it. A policy has
one phase (see `pipeline.exchange.Phase`), compiles its part of the snapshot once, and then wraps handlers. Policies do
not import each other, name no driver, and never change what another one decided: they raise `CallError` or pass on.
"""
