from heddle.controlplane.compiling.audience import Audiences, Published
from heddle.controlplane.compiling.fragment import Piece


def test_a_part_is_for_gateways_with_a_listener_of_its_protocol():
    parts = Audiences()
    parts.gateway("ns/models", ["HTTP"])
    parts.gateway("ns/both", ["HTTP", "MCP"])
    parts.put("model/m", Piece(b"m", protocols=("HTTP",)))
    parts.put("target/t", Piece(b"t", protocols=("MCP",)))
    parts.put("rule/r", Piece(b"r"))
    parts.put("listener/l", Piece(b"l", gateways=("ns/both",)))
    changed, _ = parts.settle()
    assert {name: part.audience for name, part in changed.items()} == {
        "model/m": frozenset({"ns/models", "ns/both"}),
        "target/t": frozenset({"ns/both"}),
        "rule/r": None,
        "listener/l": frozenset({"ns/both"}),
    }


def test_a_gateway_that_comes_or_goes_changes_who_needs_a_part_and_not_the_part():
    parts = Audiences()
    parts.put("model/m", Piece(b"m", protocols=("HTTP",)))
    parts.put("rule/r", Piece(b"r"))
    parts.settle()
    parts.gateway("ns/a", ["HTTP"])
    assert parts.settle() == ({"model/m": Published(b"m", frozenset({"ns/a"}))}, [])
    parts.gateway("ns/a", [])
    assert parts.settle() == ({"model/m": Published(b"m", frozenset())}, [])


def test_a_secret_is_for_whoever_needs_what_it_is_for_and_for_nobody_else():
    parts = Audiences()
    parts.gateway("ns/models", ["HTTP"])
    parts.gateway("ns/tools", ["MCP"])
    parts.put("secret/ns/s/k", Piece(b"secret"))
    assert parts.settle() == ({}, [])
    parts.put("provider/p", Piece(b"p", protocols=("HTTP",), secrets=("secret/ns/s/k",)))
    changed, _ = parts.settle()
    assert changed["secret/ns/s/k"].audience == frozenset({"ns/models"})
    parts.put("target/t", Piece(b"t", protocols=("MCP",), secrets=("secret/ns/s/k",)))
    changed, _ = parts.settle()
    assert changed["secret/ns/s/k"].audience == frozenset({"ns/models", "ns/tools"})
    parts.put("provider/p", Piece(b"p", protocols=("HTTP",)))
    changed, _ = parts.settle()
    assert changed["secret/ns/s/k"].audience == frozenset({"ns/tools"})
    parts.put("target/t", None)
    assert parts.settle() == ({}, ["secret/ns/s/k", "target/t"])
    assert set(parts.published()) == {"provider/p"}


def test_of_many_that_need_a_secret_the_last_one_matters():
    parts = Audiences()
    parts.gateway("ns/a", ["HTTP"])
    parts.put("secret/ns/s/k", Piece(b"secret"))
    for number in range(3):
        parts.put(f"provider/{number}", Piece(b"p", protocols=("HTTP",), secrets=("secret/ns/s/k",)))
    parts.settle()
    for number in range(2):
        parts.put(f"provider/{number}", None)
        assert parts.settle() == ({}, [f"provider/{number}"])
    parts.put("provider/2", None)
    assert parts.settle() == ({}, ["provider/2", "secret/ns/s/k"])
