"""Log probabilities, between Gemini's `logprobsResult` and the canonical form, which is OpenAI's.

Owns the pairing of the two lists that Gemini keeps apart. A token's bytes are its text's: Gemini does not say them.

*Source:* Gemini API reference, "LogprobsResult"; OpenAI API reference, "The chat completion object", `logprobs`.
"""

from typing import Any

import msgspec


class Token(msgspec.Struct, gc=False, rename="camel", omit_defaults=True):
    """One token and how likely it was."""

    token: str = ""
    log_probability: float = 0.0


class _Top(msgspec.Struct, gc=False):
    candidates: list[Token] | None = None


class Result(msgspec.Struct, gc=False, rename="camel"):
    """`logprobsResult`."""

    chosen_candidates: list[Token] | None = None
    top_candidates: list[_Top] | None = None


class _OpenToken(msgspec.Struct, gc=False):
    token: str
    logprob: float
    top_logprobs: list["_OpenToken"] | None = None


_OPEN = msgspec.json.Decoder(list[_OpenToken])


def read(result: Result | None) -> str:
    """The canonical JSON text; empty for none."""
    if result is None or not result.chosen_candidates:
        return ""
    tops = result.top_candidates or []
    rows = []
    for index, chosen in enumerate(result.chosen_candidates):
        others = (tops[index].candidates or []) if index < len(tops) else []
        rows.append({**_open(chosen), "top_logprobs": [_open(other) for other in others]})
    return msgspec.json.encode(rows).decode()


def write(texts: list[str]) -> dict[str, Any] | None:
    """`logprobsResult` of canonical JSON texts, in order; None when there is nothing, or nothing that can be read."""
    try:
        rows = [row for text in texts if text for row in _OPEN.decode(text)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not rows:
        return None
    tops = [{"candidates": [_own(other) for other in row.top_logprobs or ()]} for row in rows]
    return {"chosenCandidates": [_own(row) for row in rows], "topCandidates": tops}


def _open(token: Token) -> dict[str, Any]:
    spelled = list(token.token.encode("utf-8", "replace"))
    return {"token": token.token, "logprob": token.log_probability, "bytes": spelled}


def _own(row: _OpenToken) -> dict[str, Any]:
    return {"token": row.token, "logProbability": row.logprob}
