"""YAML 1.2 scalars, lines, and everything that is refused."""

import time

import pytest

from heddle.controlplane.yamldoc import read_documents


def value(text: str) -> object:
    documents, problems = read_documents(text)
    assert not problems
    return documents[0].value


def refused(text: str) -> list[tuple[int, str, str]]:
    return [tuple(problem) for problem in read_documents(text)[1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1_000", "1_000"),
        ("2026-12-31", "2026-12-31"),
        ("~", None),
        ("", None),
        ("null", None),
        ("'12'", "12"),
        ('"true"', "true"),
        ("=", "="),
        ("|\n  12\n", "12\n"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, expected: object):
    assert value(f"a: {text}\n") == {"a": expected}


def test_keys_are_text():
    assert value("1: a\ntrue: b\nnull: c\n") == {"1": "a", "true": "b", "null": "c"}


def test_lines_of_paths():
    document = read_documents("a:\n  - b: 1\n    'c d': 2\n\n  - e\n")[0][0]
    assert document.lines == {"": 1, "a": 1, "a[0]": 2, "a[0].b": 2, 'a[0]["c d"]': 3, "a[1]": 5}


def test_several_documents_and_empty_ones():
    documents, problems = read_documents("a: 1\n---\n---\nb: 2\n")
    assert [(one.value, one.lines) for one in documents] == [({"a": 1}, {"": 1, "a": 1}), ({"b": 2}, {"": 4, "b": 4})]
    assert not problems


@pytest.mark.parametrize(
    ("text", "line", "path", "word"),
    [
        ("a: &x 1\n", 1, "a", "anchors"),
        ("a: 1\nb: *x\n", 2, "b", "aliases"),
        ("a: !!python/object/apply:os.system [id]\n", 1, "a", "tags"),
        ("a: !!int '1'\n", 1, "a", "tags"),
        ("a: 1\na: 2\n", 2, "a", "given twice, first on line 1"),
        ('a: 1\n"a": 2\n', 2, "a", "given twice"),
        ("a:\n  <<: {b: 1}\n", 2, 'a["<<"]', "merge"),
        ("? [a]\n: 1\n", 1, "", "plain text"),
        ("a: .inf\n", 1, "a", "finite"),
        ("a: 1e999\n", 1, "a", "finite"),
        (f"a: {'9' * 5000}\n", 1, "a", "too large"),
        (f"a: 0x{'f' * 5000}\n", 1, "a", "too large"),
        ("a: [1\n", 2, "", "not YAML"),
        ("a: b: c\n", 1, "", "not YAML"),
        ("a: \x07\n", 0, "", "not YAML"),
        ("%YAML 3.0\n---\na: 1\n", 1, "", "not YAML"),
    ],
)
def test_refused(text: str, line: int, path: str, word: str):
    found = refused(text)
    assert found[0][:2] == (line, path)
    assert word in found[0][2]


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 50_000])
def test_deep_nesting_is_refused_quickly(text: str):
    started = time.process_time()
    assert refused(text)
    assert time.process_time() - started < 2


def test_depth_64_is_fine():
    assert not refused("[" * 64 + "]" * 64)
    assert "deeper than 64" in refused("[" * 65 + "]" * 65)[0][2]


def test_all_refusals_are_collected():
    assert len(refused("a: &x 1\nb: *x\nc: !!str 1\na: 2\n")) == 4


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "a: 1\n\tb: 2\n", "a:\n  - x\n \t- y\n"])
def test_a_tab_in_the_indentation_is_called_one(text: str):
    ((line, _, message),) = read_documents(text)[1]
    assert line == text[: text.index("\t")].count("\n") + 1
    assert message == "not YAML: a tab in the indentation; indent with spaces"


def test_another_mistake_is_not_blamed_on_a_tab():
    ((_, _, message),) = read_documents("a: 1\nb:\tc: @d\n")[1]
    assert "tab" not in message
