"""Structured output: whether an answer is JSON that satisfies a schema, configured or stated by the caller.

It needs the whole answer, so streams wait. Schemas that callers state are hostile until proven otherwise: nothing is
fetched for them, and their patterns run in linear time. The checker is loaded with the first guard that needs it.

*Source:* JSON Schema 2020-12, and the older drafts a schema names; OpenAI "Structured outputs", Gemini
`responseJsonSchema`, Anthropic `output_config.format`, as of 2026-11.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from heddle.model.match import about_tools
from heddle.model.snapshot_guards import GuardSpec
from heddle.pipeline.assembly import Tools
from heddle.pipeline.guarding import GuardUnavailableError, Judged

MAX_SCHEMA_BYTES = 256 * 1024
KEPT_SCHEMAS = 64
_PATHS = (
    ("response_format", "json_schema", "schema"),
    ("text", "format", "schema"),
    ("output_config", "format", "schema"),
    ("output_format", "schema"),
    ("generationConfig", "responseJsonSchema"),
    ("generation_config", "response_json_schema"),
)


class SchemaError(ValueError):
    """A schema that cannot be used; the message names what is missing or wrong, without quoting it."""


def _refuse_fetching(uri: str) -> Any:
    del uri
    raise ValueError("schemas are not fetched")


def check_schema(schema: Mapping[str, Any]) -> Any:
    """A validator for a schema. Raises SchemaError."""
    try:
        import jsonschema_rs  # noqa: PLC0415 - 8 MB that few gateways need
    except ImportError as exc:
        raise SchemaError("schemas need the extra `schema`: pip install 'heddle[schema]'") from exc
    try:
        options = jsonschema_rs.RegexOptions()
        return jsonschema_rs.validator_for(dict(schema), retriever=_refuse_fetching, pattern_options=options)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, RecursionError) as exc:
        raise SchemaError("is not a JSON schema that can be used: a keyword has a wrong value, or a reference leads "
                          "outside of it") from exc  # fmt: skip


@lru_cache(KEPT_SCHEMAS)
def _validator(schema: str) -> Any:
    return check_schema(json.loads(schema))


class SchemaJudge:
    """One guard with a schema."""

    def __init__(self, spec: GuardSpec, tools: Tools) -> None:
        del tools
        self.spec = spec
        self._own = _validator(spec.schema) if spec.schema != "request" else None
        self._scope = "tool_result" if about_tools(spec.match) else "assistant"

    async def judge(self, texts: Sequence[Judged], model: str, request: bytes) -> str:
        """Why the answer does not satisfy the schema; empty when it does, says nothing, or no schema was stated.

        Raises GuardUnavailableError for a stated schema that cannot be used.
        """
        del model
        answers = [one.text for one in texts if one.scope == self._scope and not one.aside]
        validator = self._own or self._stated(request)
        if validator is None:
            return ""
        for text in answers:
            try:
                value = msgspec.json.decode(text)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return "it is not JSON, which its schema asks for"
            if not validator.is_valid(value):
                return "it does not satisfy its schema"
        return ""

    @staticmethod
    def _stated(request: bytes) -> Any:
        schema = stated_schema(request)
        if schema is None:
            return None
        text = json.dumps(schema, sort_keys=True)
        if len(text) > MAX_SCHEMA_BYTES:
            raise GuardUnavailableError("the stated schema is too large")
        try:
            return _validator(text)
        except SchemaError as exc:
            raise GuardUnavailableError(f"the stated schema {exc}") from exc


def stated_schema(request: bytes) -> dict[str, Any] | None:
    """The schema that a request asks answers to satisfy, in any dialect; None when there is none."""
    body = msgspec.json.decode(request)
    for path in _PATHS:
        value = body
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, dict):
            return value
    return None
