"""The offline model: an OpenAI server's wire format without a network, a key or a model.

It is there to try the mesh with, to demonstrate it and to test against: what it says depends only on what it
was asked. It returns scripts, pairs of a pause and bytes, and a backend plays them at the right moments, so
that a stall of it is a stall like any other. It refuses what OpenAI refuses in the fields it reads.

`provider` has its options; `directives` the `[[...]]` words by which a prompt asks for errors, stalls and
disconnects; `prose` what it says; `sample` makes tool arguments and structured output from a JSON schema; `chat`
and `embeddings` put that into OpenAI's form.
"""

from heddle.providers.scripted.provider import Scripted

__all__ = ["Scripted"]
