"""Templates of `-o jsonpath=` read as kubectl reads them."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.cli.resources_jsonpath import MAX_RESULTS, TemplateError, look_up, render

POD = {
    "metadata": {"name": "a", "labels": {"app.example/tier": "web", "x-y": "z"}},
    "spec": {"ports": [80, 443], "n": 3, "on": True},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Seen", "status": "False"}]},
}
LIST = {"items": [POD, {"metadata": {"name": "b"}, "spec": {"n": 1}}]}


@pytest.mark.parametrize(
    ("template", "value", "expected"),
    [
        ("{.metadata.name}", POD, "a"),
        ("{$.metadata.name}", POD, "a"),
        ("{metadata.name}", POD, "a"),
        ("name={.metadata.name}!", POD, "name=a!"),
        ("{.spec.ports}", POD, "[80,443]"),
        ("{.spec.ports[0]} {.spec.ports[-1]} {.spec.ports[*]} {.spec.ports[1:]}", POD, "80 443 80 443 443"),
        ("{.spec.ports[7]}{.nothing.there}", POD, ""),
        ("{.spec.on}", POD, "true"),
        ("{.metadata.labels['app\\.example/tier']}", POD, "web"),
        ("{.metadata.labels.x-y}", POD, "z"),
        ('{.status.conditions[?(@.type=="Ready")].status}', POD, "True"),
        ("{.status.conditions[?(@.status!='True')].type}", POD, "Seen"),
        ("{.items[?(@.spec.n>2)].metadata.name}", LIST, "a"),
        ("{.items[?(@.spec.on==true)].metadata.name}", LIST, "a"),
        ("{.items[?(@.spec.ports)].metadata.name}", LIST, "a"),
        ("{.items[*].metadata.name}", LIST, "a b"),
        ("{..name}", LIST, "a b"),
        ('{range .items[*]}{.metadata.name}{"\\n"}{end}', LIST, "a\nb\n"),
        ("{range .items[*]}[{range .spec.ports[*]}{@},{end}]{end}", LIST, "[80,443,][]"),
        ("{range .nothing[*]}x{end}y", LIST, "y"),
        ("", POD, ""),
    ],
)
def test_templates(template: str, value: Any, expected: str):
    assert render(template, value) == expected


@pytest.mark.parametrize(
    "template",
    ["{.a", "}", "{.a[}", "{.a[?(@.b=)]}", "{.a[?(@.b==c)]}", "{end}", "{range .a}", "{.a b}", "{-}"],
)
def test_what_cannot_be_read_is_refused(template: str):
    with pytest.raises(TemplateError):
        render(template, {"a": [{"b": 1}]})


@given(st.text(alphabet="{}[]().*@?=<>'\"\\ab1:-", max_size=40))
def test_no_template_is_too_strange(template: str):
    with suppress(TemplateError):
        render(template, LIST)


def test_paths_that_multiply_are_bounded():
    value: Any = 1
    for _ in range(40):
        value = [value, value]
    path = "[*]" * 25
    assert len(look_up(path, value)) == MAX_RESULTS
