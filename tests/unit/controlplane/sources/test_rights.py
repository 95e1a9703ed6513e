"""What an object takes of the machine needs a right of its own."""

from typing import Any

import pytest

from heddle.controlplane.sources.rights import COMMANDS, ENVIRONMENT, FILES, NETWORKS, rights_needed


def backend(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "heddle.dev/v1alpha1", "kind": "Backend", "metadata": {"name": "b"}, "spec": spec}


def provider(**fields: Any) -> dict[str, Any]:
    return backend(provider={"type": "openai", **fields})


def asked(new: dict[str, Any], old: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    return [(need.resource, need.path) for need in rights_needed(new, old)]


KEY = provider(apiKey="${OPENAI_API_KEY}", baseUrl="https://api.openai.com/v1", timeouts={"connect": "5s"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (KEY, [(ENVIRONMENT, "spec.provider.apiKey")]),
        (provider(apiKey="a${A}b${B}"), [(ENVIRONMENT, "spec.provider.apiKey")] * 2),
        (provider(apiKey="file:/etc/shadow"), [(FILES, "spec.provider.apiKey")]),
        (provider(apiKey=" FILE:/etc/shadow"), [(FILES, "spec.provider.apiKey")]),
        (provider(caFile="ca.pem"), [(FILES, "spec.provider.caFile")]),
        (provider(baseUrl="http://127.1/v1"), [(NETWORKS, "spec.provider.baseUrl")]),
        (provider(options={"endpoint": ["http://10.0.0.1"]}), [(NETWORKS, "spec.provider.options.endpoint[0]")]),
        (backend(mcp={"stdio": {"command": ["sh", "-c", "id"]}}), [(COMMANDS, "spec.mcp.stdio.command")]),
        (backend(mcp={"stdio": {}}), [(COMMANDS, "spec.mcp.stdio.command")]),
        (
            backend(mcp={"http": {"url": "https://x.example", "headers": {"description": "${K}"}}}),
            [(ENVIRONMENT, "spec.mcp.http.headers.description")],
        ),
        (
            backend(mcp={"openapi": {"schema": {"file": "/etc/passwd"}}}),
            [(FILES, "spec.mcp.openapi.schema.file")],
        ),
        (
            backend(mcp={"openapi": {"schema": {"inline": '{"servers": [{"url": "http://10.0.0.9"}]}'}}}),
            [(NETWORKS, "spec.mcp.openapi.schema.inline"), (NETWORKS, "spec.mcp.openapi.schema.inline.servers[0].url")],
        ),
        (provider(baseUrl="https://api.openai.com/v1", apiKeySecret="key"), []),
    ],
)
def test_what_needs_a_right(value: dict[str, Any], expected: list[tuple[str, str]]):
    assert asked(value) == expected


def test_a_document_in_a_text_is_read_as_a_document():
    escaped = backend(mcp={"openapi": {"schema": {"inline": '{"servers": [{"url": "http:\\u002f/10.0.0.9"}]}'}}})
    assert asked(escaped) == [(NETWORKS, "spec.mcp.openapi.schema.inline.servers[0].url")]


def test_other_kinds():
    server = {"apiVersion": "kagent.dev/v1alpha1", "kind": "MCPServer", "spec": {"deployment": {"cmd": "npx"}}}
    assert asked(server) == [(COMMANDS, "spec.deployment.cmd")]
    assert asked({**server, "spec": {}}) == [(COMMANDS, "spec.deployment.cmd")]
    assert asked({**server, "spec": {**server["spec"], "transportType": "http"}}) == []
    policy = {"apiVersion": "heddle.dev/v1alpha1", "kind": "Policy"}
    assert asked({**policy, "spec": {"media": {"privateNetworks": ["10.0.0.0/8"]}}}) == [
        (NETWORKS, "spec.media.privateNetworks[0]")
    ]
    output = {"logging": {"output": {"type": "file", "path": "/root/.ssh/authorized_keys"}}}
    assert asked({**policy, "spec": {"observability": output}}) == [(FILES, "spec.observability.logging.output.path")]


def test_values_and_prose_need_none():
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"api-key": "${HOME} file:/x http://127.0.0.1"}}
    assert asked(secret) == []
    agent = {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "Agent",
        "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "${X} http://10.0.0.1"}},
        "spec": {"description": "asks ${SERVICE}", "declarative": {"systemMessage": "say ${NAME} at http://10.0.0.1"}},
        "status": {"message": "http://10.0.0.1"},
    }
    assert asked(agent) == []


def test_what_was_there_needs_none():
    assert asked(KEY, KEY) == []
    assert asked({**KEY, "metadata": {"name": "b", "labels": {"a": "b"}}}, KEY) == []
    assert asked(provider(**{**KEY["spec"]["provider"], "timeouts": {"connect": "9s"}}), KEY) == []
    assert asked(provider(apiKey="${OPENAI_API_KEY}"), KEY) == []
    inner = provider(baseUrl="http://10.0.0.1/v1")
    assert asked(provider(baseUrl="http://10.0.0.1/v1", proxy="https://proxy.example:8443"), inner) == []


@pytest.mark.parametrize(
    "change",
    [{"baseUrl": "https://evil.example/v1"}, {"proxy": "https://evil.example"}, {"options": {"resource": "evil"}}],
)
def test_an_old_secret_beside_a_new_destination_needs_the_right_again(change: dict[str, Any]):
    assert (ENVIRONMENT, "spec.provider.apiKey") in asked(provider(**{**KEY["spec"]["provider"], **change}), KEY)


def test_an_old_program_with_new_surroundings_needs_the_right_again():
    old = backend(mcp={"stdio": {"command": ["tool"], "env": {}}})
    new = backend(mcp={"stdio": {"command": ["tool"], "env": {"LD_PRELOAD": "/tmp/x.so"}}})
    assert asked(new, old) == [(COMMANDS, "spec.mcp.stdio.command")]
    assert asked(old, old) == []


def test_messages_show_no_secrets():
    value = backend(
        mcp={"stdio": {"command": ["tool", "--token=hunter2"]}, "http": {"url": "http://u:hunter2@10.0.0.1"}}
    )
    needs = rights_needed(value, None)
    assert {need.resource for need in needs} == {COMMANDS, NETWORKS}
    assert "hunter2" not in repr(needs)


@pytest.mark.parametrize("spec", [None, 1, "x", [], [[[]]], {"mcp": 1}, {"deployment": 1}, {"mcp": {"stdio": 1}}])
def test_wrong_types_raise_nothing(spec: Any):
    rights_needed({"apiVersion": [], "kind": {}, "spec": spec}, {"spec": spec})
    rights_needed({"kind": "MCPServer", "spec": spec}, None)


def test_depth_and_size_are_cheap():
    deep: Any = "${X}"
    for _ in range(5_000):
        deep = [deep]
    assert asked(backend(x=deep)) == []
    assert asked(backend(x="http://" * 100_000 + "${" * 100_000)) == [(NETWORKS, "spec.x")]
