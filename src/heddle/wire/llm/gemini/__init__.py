"""Google's Gemini format: generateContent as a dialect and as a vendor's format, embeddings, counting, models.

One file per face: `codec` and `reader` at the door, `dialect` (`request`, `answer`, `stream`) for callers who speak
it, `vendor` (`contents`, `settings`, `response`, `decoder`) for providers that do. The protobuf rules of its JSON are
in `fields`, its paths in `target`.
"""
