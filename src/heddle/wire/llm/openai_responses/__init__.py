"""OpenAI responses: the dialect, its passage and the vendor, for models that exist only there.

`codec` is the face at the door, `dialect` the caller's side of a translation, `vendor` the provider's. What the API
keeps on its own side (earlier responses, conversations, stored prompts, background runs) can only pass through.

*Source:* OpenAI API reference, "Responses" and "Streaming events", and the types of its Python SDK 3.52, as of 2026-11.
"""
