import msgspec
import pytest

from heddle.model.assembly import Assembly, assemble
from heddle.model.parts import (
    BODIES,
    MARK,
    PartError,
    ProviderPart,
    SettingsPart,
    SnapshotPart,
    decode_part,
    encode_body,
    encode_part,
)
from heddle.model.prices import ModelPrice, PriceTable
from heddle.model.snapshot import AdminSpec, ListenerSpec, ModelSpec, ProviderSpec
from heddle.model.snapshot_budgets import LedgerSpec
from heddle.model.snapshot_mcp import HttpSpec, McpTargetSpec


def part(body: object, order: str = "", secrets: tuple[str, ...] = ()) -> bytes:
    return encode_part(SnapshotPart(order=order, body=encode_body(body), secrets=secrets))


def provider(name: str, secret: str = "", **more: str) -> bytes:
    spec = ProviderSpec(name=name, type="openai", credential=f"{MARK}{secret}" if secret else "")
    return part(ProviderPart(spec=spec, **more), secrets=(secret,) if secret else ())


def test_parts_stand_in_their_order_and_then_by_name():
    parts = {f"model/{name}": part(ModelSpec(name=name), order) for name, order in (("b", "1"), ("a", "1"), ("z", "0"))}
    parts["provider/p"] = provider("p")
    assert [one.name for one in assemble(parts).models] == ["z", "a", "b"]


def test_a_changed_part_takes_its_new_place():
    assembly = Assembly()
    assembly.apply({f"model/{name}": part(ModelSpec(name=name), name) for name in "abc"})
    assembly.apply({"model/a": part(ModelSpec(name="a", model="x"), "z"), "model/b": None, "model/gone": None})
    assert [(one.name, one.model) for one in assembly.snapshot("v").models] == [("c", ""), ("a", "x")]


def test_a_listener_is_found_by_the_name_that_the_snapshot_has_for_it():
    assembly = Assembly()
    assembly.apply(
        {"listener/default/mesh/http": part(ListenerSpec(name="http", address="::1", port=1, protocol="HTTP"))}
    )
    assert assembly.listener_part("http") == "listener/default/mesh/http"
    assert assembly.listener_part("other") == ""


def test_what_did_not_change_is_the_same_object():
    assembly = Assembly()
    assembly.apply({f"model/{name}": part(ModelSpec(name=name), name) for name in "ab"})
    before = assembly.snapshot("1")
    assembly.apply({"model/b": part(ModelSpec(name="b", model="x"), "b")})
    after = assembly.snapshot("2")
    assert after.models[0] is before.models[0]
    assert after.listeners is before.listeners or after.listeners == before.listeners == ()


def test_secrets_stand_where_their_names_did():
    parts = {"provider/p": provider("p", "secret/ns/s/k"), "secret/ns/s/k": part("sesame")}
    assembly = Assembly()
    assembly.apply(parts)
    assert assembly.snapshot("v").providers[0].credential == "sesame"
    assembly.apply({"secret/ns/s/k": part("rotated")})
    assert assembly.snapshot("v").providers[0].credential == "rotated"


def test_a_secret_may_come_with_what_needs_it_and_go_with_it():
    assembly = Assembly()
    assembly.apply({"provider/p": provider("p", "secret/ns/s/k"), "secret/ns/s/k": part("sesame")})
    assembly.apply({"secret/ns/s/k": None, "provider/p": provider("p", "secret/ns/s/2"), "secret/ns/s/2": part("2")})
    assert assembly.snapshot("v").providers[0].credential == "2"
    assembly.apply({"provider/p": None, "secret/ns/s/2": None})
    assert assembly.snapshot("v").providers == ()


@pytest.mark.parametrize("changed", [
    {"provider/q": provider("q", "secret/ns/gone/k")},
    {"secret/ns/s/k": None},
    {"provider/q": b"\xff"},
    {"provider/q": part({"spec": 1})},
    {"provider/q": part(ProviderPart(spec=ProviderSpec(name="q", type="openai")))[:-3]},
    {"nonsense/q": part(1)},
    {"secret/ns/s/k": part(17)},
    {"model/m": part(ModelSpec(name="m")), "provider/p": b""},
])  # fmt: skip
def test_a_change_that_cannot_be_made_changes_nothing(changed: dict[str, bytes | None]):
    assembly = Assembly()
    assembly.apply({"provider/p": provider("p", "secret/ns/s/k"), "secret/ns/s/k": part("sesame")})
    before = assembly.snapshot("v")
    with pytest.raises(PartError) as refused:
        assembly.apply(changed)
    assert assembly.snapshot("v") == before
    assert "sesame" not in str(refused.value)
    assembly.apply({"secret/ns/s/k": part("rotated")})
    assert assembly.snapshot("v").providers[0].credential == "rotated"


def test_a_reference_that_a_part_does_not_say_it_needs_is_a_text():
    spec = ProviderSpec(name="p", type="openai", credential=f"{MARK}secret/ns/s/k")
    parts = {"provider/p": part(ProviderPart(spec=spec)), "secret/ns/s/k": part("sesame")}
    assert assemble(parts).providers[0].credential == f"{MARK}secret/ns/s/k"
    needs_another = part(ProviderPart(spec=spec), secrets=("secret/ns/own/k",))
    parts |= {"provider/p": needs_another, "secret/ns/own/k": part("own")}
    assert assemble(parts).providers[0].credential == f"{MARK}secret/ns/s/k"


def test_one_virtual_server_offers_everything_where_none_is_declared():
    target = part(McpTargetSpec(name="files", connect=HttpSpec(url="http://127.0.0.1/")))
    others = part(McpTargetSpec(name="files.team", connect=HttpSpec(url="http://127.0.0.1/")))
    parts = {"target/files": target, "target/files.team": others, "offered/files": part(True)}
    (server,) = assemble(parts).mcp.servers
    assert (server.name, server.path, [one.target for one in server.targets]) == ("default", "/mcp", ["files"])
    assert assemble({"target/files": target, "declared/servers": part(True)}).mcp.servers == ()


def test_models_that_were_declared_and_are_none_leave_none_open():
    open_to_all = assemble({"provider/p": provider("p")})
    closed = assemble({"provider/p": provider("p"), "declared/models": part(True)})
    assert open_to_all.models == ()
    (nobody,) = closed.models
    assert nobody.access is not None
    assert nobody.access.users == (MARK,)


def test_the_first_settings_that_say_something_hold():
    one = SettingsPart(trust_domain="one.example")
    two = SettingsPart(trust_domain="two.example", admin=AdminSpec(port=9100))
    made = assemble({"settings/b": part(two, "2"), "settings/a": part(one, "1")})
    assert (made.trust_domain, made.admin.port) == ("one.example", 9100)


@pytest.mark.parametrize(("said", "enabled"), [(None, False), (True, True), (False, False)])
def test_the_ledger_is_as_it_was_said_or_as_there_are_budgets(said: bool | None, enabled: bool):
    settings = SettingsPart(ledger=LedgerSpec(anchor_every_s=5.0), ledger_enabled=said)
    ledger = assemble({"settings/a": part(settings)}).ledger
    assert (ledger.enabled, ledger.anchor_every_s) == (enabled, 5.0)


def test_of_listeners_at_one_address_the_first_is_bound():
    def listener(name: str, port: int, order: str) -> bytes:
        return part(ListenerSpec(name=name, address="127.0.0.1", port=port, protocol="HTTP"), order)

    parts = {"listener/b": listener("b", 80, "2"), "listener/a": listener("a", 80, "1")}
    parts |= {"listener/c": listener("c", 0, "3"), "listener/d": listener("d", 0, "4")}
    assert [one.name for one in assemble(parts).listeners] == ["a", "c", "d"]


def test_prices_are_those_of_the_list_after_those_that_were_stated():
    table = PriceTable(models=(ModelPrice(model="listed"),))
    stated = BODIES["price"](prices=(("p", ModelPrice(model="own")), ("q", ModelPrice(model="others"))))
    parts = {"provider/p": provider("p", prices="x"), "provider/r": provider("r"), "prices/x": part(table)}
    made = assemble({**parts, "price/policy": part(stated)})
    assert {name: [one.model for one in table.models] for name, table in made.prices.items()} == {
        "p": ["own", "listed"]
    }


def test_a_part_has_one_encoding():
    body = ModelSpec(name="m", defaults={"b": 1, "a": 2})
    same = msgspec.structs.replace(body, defaults={"a": 2, "b": 1})
    assert part(body) == part(same)
    assert decode_part("model/m", part(body)).order == ""
