"""URIs inside of results, as callers see them."""

import json
from typing import Any

from heddle.dataplane.mcp.rewriting import app_in, exposed_in


def shown(value: Any) -> Any:
    return json.loads(exposed_in(json.dumps(value).encode(), "fs"))


def test_uris_are_those_that_callers_can_read_again() -> None:
    assert shown({"contents": [{"uri": "file:///a", "text": "x"}]}) == {
        "contents": [{"uri": "fs+file:///a", "text": "x"}]
    }
    link = {"type": "resource_link", "uri": "file:///a", "name": "a"}
    inner = {"type": "resource", "resource": {"uri": "ui://a", "text": "x"}}
    words = {"type": "text", "text": '"uri":"file:///a"'}
    assert shown({"content": [link, inner, words]})["content"] == [
        {**link, "uri": "fs+file:///a"},
        {"type": "resource", "resource": {"uri": "ui://fs+a", "text": "x"}},
        words,
    ]
    assert (
        shown({"messages": [{"role": "user", "content": inner}]})["messages"][0]["content"]["resource"]["uri"]
        == "ui://fs+a"
    )
    assert shown({"_meta": {"ui": {"resourceUri": "ui://a"}}})["_meta"]["ui"]["resourceUri"] == "ui://fs+a"
    assert json.loads(app_in(b'{"name":"x","_meta":{"ui/resourceUri":"ui://a"}}', "fs"))["_meta"] == {
        "ui/resourceUri": "ui://fs+a"
    }


def test_what_names_no_uri_passes_as_it_was_written() -> None:
    for raw in (
        b'{"content": [ ] , "n": 1.10}',
        b'{"structuredContent":{"uri": 1.10}}',
        b'"uri" {',
        b'{"uri":' + b"[" * 5_000,
    ):
        assert exposed_in(raw, "fs") == raw
    big = b'{"contents":[{"uri":"a"}],"n":12345678901234567890123}'
    assert b"12345678901234567890123" in exposed_in(big, "fs")
