"""The offline model: a vendor's wire format without a network, a key or a model.

It is there to try the mesh with, to demonstrate it and to test against: what it says depends only on what it
was asked. It returns scripts, pairs of a pause and bytes, and a backend plays them at the right moments, so
that a stall of it is a stall like any other. It refuses what the vendor whose format it speaks refuses.

It is written from the vendors' references and from their SDKs' types, and shares nothing with the codecs under
`wire.llm`: it is what they are checked against. Only the framing of streams is common.

`provider` has its options and the list of formats; `playing` the order of things that all share. What is asked is
`asked`, what is answered `said`, with `directives` for the `[[...]]` words by which a prompt asks for errors, stalls
and disconnects, `prose` for the words, `sample` for values that fit a JSON schema, `seals` for proofs of thinking. Each
format has a module that reads requests (`..._request`) and one that writes answers.
"""

from heddle.providers.scripted.provider import Scripted

__all__ = ["Scripted"]
