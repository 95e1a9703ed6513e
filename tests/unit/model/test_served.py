"""Kinds by the names people use, and their fields explained without a running API."""

import pytest

from heddle.model.explain import UnknownFieldError, find
from heddle.model.resources_cluster import Event
from heddle.model.resources_grants import ReferenceGrant
from heddle.model.resources_kagent import Agent, DeclarativeAgent, Tool
from heddle.model.resources_mcp import MCPServer
from heddle.model.resources_status import Condition
from heddle.model.served import struct_named


@pytest.mark.parametrize(
    ("name", "struct"),
    [
        ("Agent", Agent),
        ("agents", Agent),
        ("AGENT", Agent),
        ("mcps", MCPServer),
        ("events", Event),
        ("refgrant", ReferenceGrant),
        ("nothing", None),
        ("", None),
    ],
)
def test_a_name_means_the_first_kind_that_has_it(name: str, struct: type | None):
    assert struct_named(name) is struct


@pytest.mark.parametrize(
    ("path", "sections"),
    [
        ("agents.spec.declarative", (DeclarativeAgent,)),
        ("Agent.spec.declarative.tools[0]", (Tool,)),
        ("agents.status.conditions", (Condition,)),
    ],
)
def test_fields_of_a_kind_are_explained_down_to_its_status(path: str, sections: tuple[type, ...]):
    assert find(path).sections == sections


def test_what_the_short_form_has_is_the_short_forms():
    """`mcp` is a section of a `config.yaml`, and a short name of MCPServer."""
    assert not find("mcp").camel
    assert find("mcps").camel


def test_a_field_that_is_not_there_names_the_nearest():
    with pytest.raises(
        UnknownFieldError, match=r"`agents\.spec` has no field `declaritive`; did you mean `declarative`"
    ):
        find("agents.spec.declaritive")
