"""Equal questions have equal keys, different ones different keys; partitions never meet."""

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle import plugins
from heddle.model.call import ModelCall
from heddle.model.principal import ANONYMOUS, Principal
from heddle.model.snapshot import ModelSpec, ProviderSpec
from heddle.policies.cache.question import CALLER_FIELDS, canonical, digest, partition, read_traits, settings

names = st.text(min_size=1, max_size=6)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.one_of(names, st.sampled_from(("schema", "parameters"))), inner, max_size=3)
    ),
    max_leaves=12,
)
objects = st.dictionaries(names, values, max_size=5)


def shuffled(value: Any, rng: random.Random, schema: bool = False) -> Any:
    """The same, with fields of objects in another order but in schemas."""
    if isinstance(value, dict):
        items = [
            (name, shuffled(one, rng, schema or (name in ("schema", "parameters") and isinstance(one, dict))))
            for name, one in value.items()
        ]
        if not schema:
            rng.shuffle(items)
        return dict(items)
    return [shuffled(one, rng, schema) for one in value] if isinstance(value, list) else value


def comparable(value: Any) -> Any:
    """What two bodies must share to be one question: `1`, `1.0` and `true` are three things."""
    return msgspec.json.encode(value, order="deterministic")


@given(objects, st.integers(), st.sampled_from((None, 0, 2)), st.booleans())
def test_order_and_space_do_not_matter(value: dict[str, Any], seed: int, indent: int | None, ascii_only: bool):
    again = json.dumps(shuffled(value, random.Random(seed)), indent=indent, ensure_ascii=ascii_only)
    assert canonical(again.encode()) == canonical(json.dumps(value).encode())


@given(objects, objects)
def test_different_questions_have_different_forms(one: dict[str, Any], other: dict[str, Any]):
    for value in (one, other):
        value.pop("stream", None)
        value.pop("stream_options", None)
    if comparable(one) != comparable(other):
        assert canonical(json.dumps(one).encode()) != canonical(json.dumps(other).encode())


def test_how_the_answer_travels_is_no_part_of_it():
    plain = canonical(b'{"model":"m"}')
    assert canonical(b'{"stream":true,"model":"m","stream_options":{"include_usage":true}}') == plain
    assert canonical(b'{"model":"m","messages":[{"stream":true}]}') != plain


def test_the_order_inside_of_schemas_matters():
    one, other = ({"schema": {"properties": order}} for order in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert canonical(json.dumps(one).encode()) != canonical(json.dumps(other).encode())
    assert canonical(b'{"schema":{"a":1}}') != canonical(b'{"schema":"{\\"a\\":1}"}')
    assert canonical(b'{"schema":{"a":1}}') != canonical(b'{"schema":[["a",1]]}')


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a":1e999}', b'"x"', b'{"a":' * 5000])
def test_what_cannot_be_compared_is_said(body: bytes):
    with pytest.raises((ValueError, RecursionError)):
        canonical(body)


CALL = ModelCall(
    operation="chat", dialect="openai_chat", model="m", body=b"{}", entry="m", provider="p", upstream_model="u"
)
KEY = (CALL, b"{}", ["tenant", "t"], b"s", {b"anthropic-beta": b"x", b"date": b"now"})


def changed(**fields: str) -> ModelCall:
    return CALL.copy(**fields)


@pytest.mark.parametrize(
    "other",
    [
        (changed(operation="completions"), *KEY[1:]),
        (changed(dialect="anthropic_messages"), *KEY[1:]),
        (changed(model="alias"), *KEY[1:]),
        (changed(entry="m*"), *KEY[1:]),
        (changed(provider="q"), *KEY[1:]),
        (changed(upstream_model="v"), *KEY[1:]),
        (CALL, b'{"a":1}', *KEY[2:]),
        (CALL, b"{}", ["tenant", "u"], *KEY[3:]),
        (CALL, b"{}", ["tenant", "t", "user=x"], *KEY[3:]),
        (CALL, b"{}", ["anonymous"], *KEY[3:]),
        (*KEY[:3], b"other", KEY[4]),
        (*KEY[:4], {b"anthropic-beta": b"y"}),
        (*KEY[:4], {}),
    ],
)
def test_everything_that_changes_an_answer_is_in_the_key(other: Any):
    assert digest(*other) != digest(*KEY)


def test_what_does_not_is_not():
    assert digest(changed(body=b"other"), *KEY[1:]) == digest(*KEY)
    assert digest(*KEY[:4], {b"anthropic-beta": b"x", b"date": b"later"}) == digest(*KEY)


def test_settings_of_the_model_and_its_provider_count():
    model, provider = ModelSpec(name="m"), ProviderSpec(name="p", type="openai", base_url="https://a")
    variants = [
        (model, provider),
        (None, provider),
        (model, None),
        (msgspec.structs.replace(model, defaults={"seed": 1}), provider),
        (msgspec.structs.replace(model, overrides={"seed": 1}), provider),
        (msgspec.structs.replace(model, system="Be brief."), provider),
        (model, msgspec.structs.replace(provider, type="groq")),
        (model, msgspec.structs.replace(provider, base_url="https://b")),
        (model, msgspec.structs.replace(provider, options={"region": "x"})),
    ]
    assert len({settings(*variant) for variant in variants}) == len(variants)
    assert settings(model, provider) == settings(model, msgspec.structs.replace(provider, credential="new"))


def who(**fields: Any) -> Principal:
    return Principal(**{"method": "api_key", "tenant": "t", "user": "u", "agent": "a", "key_id": "k", **fields})


def test_tenants_share_with_nobody_else():
    callers = [
        who(),
        who(tenant="x"),
        who(tenant="anonymous"),
        who(tenant=""),
        who(tenant="", user="v"),
        who(tenant="", agent="b"),
        who(tenant="", key_id="l"),
        who(tenant="", user="ua", agent=""),
        ANONYMOUS,
    ]
    assert len({json.dumps(partition(one, ())) for one in callers}) == len(callers)
    assert partition(who(), ()) == partition(who(user="v", agent="b", key_id="l"), ())
    assert partition(who(), ("user",)) != partition(who(user="v"), ("user",))
    assert partition(who(), ("user",)) == partition(who(agent="b"), ("user",))
    assert partition(who(), ("agent", "key")) == partition(who(), ("key", "agent"))
    forged = who(user="x\x00agent=y"), who(user="x", agent="y")
    assert partition(forged[0], ("user", "agent")) != partition(forged[1], ("user", "agent"))


def test_fields_that_providers_are_sent_are_in_the_key():
    sent: set[bytes] = set()
    for name in plugins.names("providers"):
        module = plugins._table("providers")[name].partition(":")[0].replace(".", "/")
        base = Path("src") / module
        for path in [base.with_suffix(".py")] if base.with_suffix(".py").exists() else base.rglob("*.py"):
            found = path.read_text().partition("FROM_CALLER = frozenset((")[2].partition("))")[0]
            sent |= {word.strip().strip('b"').encode() for word in found.split(",") if word.strip()}
    # The one that is left out names a request, and no answer depends on it.
    assert sent == {*CALLER_FIELDS, b"x-client-request-id"}


def call(dialect: str = "openai_chat", **body: Any) -> ModelCall:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}
    return changed_body(dialect, body)


def changed_body(dialect: str, body: dict[str, Any]) -> ModelCall:
    return CALL.copy(dialect=dialect, body=json.dumps(body).encode())


TOOL = {"type": "function", "function": {"name": "f"}}


def test_traits_of_chat():
    traits = read_traits(call())
    assert traits is not None
    assert (traits.tools, traits.temperature, traits.kept_by_vendor) == (False, None, False)
    traits = read_traits(call(tools=[TOOL], temperature=0.5, store=True))
    assert traits is not None
    assert (traits.tools, traits.temperature, traits.kept_by_vendor) == (True, 0.5, True)
    searching = read_traits(call(web_search_options={}))
    assert searching is not None
    assert searching.tools
    assert read_traits(call().copy(choices=2)) is None


def test_traits_of_other_dialects():
    anthropic = read_traits(call("anthropic_messages", max_tokens=5, temperature=0))
    assert anthropic is not None
    assert anthropic.temperature == 0
    contents = {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"temperature": 1}}
    gemini = read_traits(changed_body("gemini", {**contents, "tools": [{"googleSearch": {}}]}))
    assert gemini is not None
    assert (gemini.tools, gemini.temperature) == (True, 1)
    converse = {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "inferenceConfig": {"temperature": 0.1}}
    bedrock = read_traits(changed_body("bedrock_converse", converse))
    assert bedrock is not None
    assert bedrock.temperature == 0.1


def test_responses_are_kept_by_their_vendor_unless_the_caller_says_no():
    def asked(**fields: Any) -> Any:
        return read_traits(changed_body("openai_responses", {"model": "m", "input": "hi", **fields}))

    assert asked().kept_by_vendor
    assert asked(store=True).kept_by_vendor
    assert not asked(store=False).kept_by_vendor
    assert asked(previous_response_id="resp_1", store=False) is None
    assert asked(conversation="conv_1", store=False) is None
    assert asked(background=True, store=False) is None
