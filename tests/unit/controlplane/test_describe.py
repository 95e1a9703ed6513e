"""Secrets planted everywhere, and looked for in everything that is shown."""

from pathlib import Path

import msgspec
import pytest

from heddle.controlplane.describe import describe
from heddle.controlplane.load import Loaded, load
from heddle.model.snapshot import ProviderSpec, Snapshot

PLANTED = """
listeners: [{name: llm, port: 8080}]
llm:
  providers:
    - {name: a, type: openai, api_key: planted-1}
    - {name: b, type: openai, api_key: "${SECRET}"}
    - {name: c, type: openai, api_key: "file:secret"}
    - {name: d, type: openai, api_key_secret: named}
  models: [{name: m, provider: a}]
security:
  authentication:
    - type: api_key
      keys:
        - {key: planted-4, user: u, metadata: {note: planted-5, deep: [{x: planted-5}]}}
observability:
  tracing: {endpoint: "c:4317", headers: {authorization: "Bearer planted-6", x-team: "${SECRET}"}}
  logging:
    output:
      - {type: elasticsearch, endpoint: "https://es", username: u, password: planted-7}
      - {type: elasticsearch, endpoint: "https://es", api_key: planted-8}
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    (tmp_path / "c.yaml").write_text(PLANTED)
    (tmp_path / "secret").write_text("planted-2\n")
    (tmp_path / "secrets" / "named").mkdir(parents=True)
    (tmp_path / "secrets" / "named" / "api-key").write_text("planted-3")
    return load([tmp_path / "c.yaml"], environ={"SECRET": "planted-0"})


def test_the_secrets_are_in_the_snapshot(loaded: Loaded):
    """Else the other tests here could not fail."""
    assert loaded.snapshot is not None
    encoded = msgspec.json.encode(loaded.snapshot).decode()
    assert all(f"planted-{n}" in encoded for n in (0, 1, 2, 3, 5, 6, 7, 8))


def test_no_rendering_shows_one(loaded: Loaded):
    assert loaded.snapshot is not None
    shown = describe(loaded.snapshot)
    digests = [key.sha256 for entry in loaded.snapshot.authentication for key in getattr(entry, "keys", ())]
    for text in (
        msgspec.json.encode(shown).decode(),
        repr(loaded.snapshot),
        str(loaded.snapshot),
        repr(loaded.resources),
        repr(loaded),
        "\n".join(one.line_text() for one in loaded.problems),
        repr(loaded.problems),
    ):
        assert "planted" not in text
        assert not any(digest in text for digest in digests)


def test_the_rest_is_shown(loaded: Loaded):
    assert loaded.snapshot is not None
    shown = describe(loaded.snapshot)
    assert [one["credential"] for one in shown["providers"]] == ["***"] * 4
    (key,) = shown["authentication"][0]["keys"]
    assert shown["authentication"][0]["type"] == "api_key"
    assert (key["sha256"], key["user"]) == ("***", "u")
    assert key["key_id"].startswith("key-")
    assert len(key["key_id"]) == 16
    assert shown["observability"]["tracing"]["headers"] == {"authorization": "***", "x-team": "***"}
    assert shown["listeners"][0]["port"] == 8080
    assert shown["prices"]["a"].endswith("models")


def test_nothing_configured_is_not_shown_as_a_secret():
    shown = describe(Snapshot(version="x", providers=(ProviderSpec(name="p", type="scripted", options={"length": 5}),)))
    assert shown["providers"][0]["credential"] == ""
    assert shown["providers"][0]["options"] == {"length": 5}


def test_options_of_a_plug_in_may_be_secret():
    shown = describe(Snapshot(version="x", providers=(ProviderSpec(name="p", type="other", options={"token": "t"}),)))
    assert shown["providers"][0]["options"] == {"token": "***"}
