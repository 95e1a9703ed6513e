"""Pure codecs: bytes in, values out, and back. One file per wire format.

Nothing here awaits, opens a socket, reads a clock, logs or draws a random number, so every rule of a
format can be tested with a literal. A codec raises its own protocol error and leaves it to its caller
what to answer.
"""
