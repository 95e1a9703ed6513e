"""Which namespaces something is open to."""

from typing import Any

import pytest
from tests.unit.controlplane.compiling.rig import key, raw

from heddle.controlplane.compiling.index import Lookup
from heddle.controlplane.compiling.objects import read
from heddle.controlplane.compiling.selecting import open_to

NAME = "kubernetes.io/metadata.name"


def opened(labels: dict[str, str], selector: dict[str, Any]) -> bool:
    """Whether what is open to `selector` is open to the namespace `dev`, which has these labels."""
    namespace = key("Namespace/dev")._replace(namespace="", name="dev")
    value = raw("Namespace/dev")
    value["metadata"]["labels"] = labels
    lookup = Lookup(lambda question: read(namespace, value) if question == ("object", namespace) else None)
    return open_to(lookup, {"from": "Selector", "selector": selector}, "shop", "dev")


@pytest.mark.parametrize("labels", [{}, {NAME: "prod"}])
def test_a_namespace_is_called_as_it_is_called_whatever_its_labels_say(labels: dict[str, str]) -> None:
    assert opened(labels, {"matchLabels": {NAME: "dev"}})
    assert not opened(labels, {"matchLabels": {NAME: "prod"}})
    assert not opened(labels, {"matchExpressions": [{"key": NAME, "operator": "NotIn", "values": ["dev"]}]})


def test_other_labels_are_its_own() -> None:
    assert opened({"team": "a"}, {"matchLabels": {"team": "a"}})
    assert not opened({}, {"matchLabels": {"team": "a"}})
