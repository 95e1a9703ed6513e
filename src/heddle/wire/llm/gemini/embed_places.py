"""Where the settings of embeddings stand: in each request at the Gemini API, in its `embedContentConfig` at Vertex AI.

Owns the move from one place to the other, for requests whose caller spoke to the other address. Each value keeps its
bytes, and a request that is as it should be is returned as it is.

*Source:* Gemini API reference, "EmbedContentRequest"; google-genai 3.4, which writes the one for a key and the other
for Vertex AI, where requests of a batch do not repeat the model either.
"""

import msgspec

from heddle.wire.llm.gemini.fields import camel, is_list

SETTINGS = ("taskType", "title", "outputDimensionality")
_CONFIG = "embedContentConfig"
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.encode


def for_vertex(body: bytes) -> bytes:
    """An accepted request, of either form, with its settings in their object and without repeated models."""
    return _each(body, nested=True)


def for_gemini(body: bytes) -> bytes:
    """An accepted request, of either form, with its settings beside the content."""
    return _each(body, nested=False)


def _each(body: bytes, *, nested: bool) -> bytes:
    fields = _OBJECT.decode(body)
    given = fields.get("requests")
    if given is None:
        moved = _moved(fields, nested=nested)
        return body if moved is None else _encode(moved)
    requests = [_OBJECT.decode(one) for one in (_LIST.decode(given) if is_list(given) else [given])]
    placed = [_moved(request, nested=nested) for request in requests]
    if all(request is None for request in placed):
        return body
    fields["requests"] = msgspec.Raw(_encode([new or old for new, old in zip(placed, requests, strict=True)]))
    return _encode(fields)


def _moved(request: dict[str, msgspec.Raw], *, nested: bool) -> dict[str, msgspec.Raw] | None:
    """The request with its settings moved; None when they stand where they should."""
    known = {camel(name): value for name, value in request.items()}
    try:
        config = _OBJECT.decode(known[_CONFIG]) if _CONFIG in known else {}
    except msgspec.ValidationError:
        # No object: the provider's to judge, as all that policies do not need.
        return None
    if not nested:
        return {**{name: known[name] for name in known if name != _CONFIG}, **config} if config else None
    loose = {name: known.pop(name) for name in SETTINGS if name in known}
    if not loose and "model" not in known:
        return None
    known.pop("model", None)
    if loose or config:
        known[_CONFIG] = msgspec.Raw(_encode({**loose, **config}))
    return known
