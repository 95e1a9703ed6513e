"""Vendors: where their models are, how they want to be spoken to, and what their errors mean.

Each is data and a few pure functions over a dialect of `wire.llm`; none opens a connection, awaits, logs or
reads a clock: a backend does. What a provider must offer is `model.provider`. Adding one is a file here and a
line in `plugins`. They do not import each other.
"""
