"""Pieces cut into lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.stdio.lines import LineSplitter, LineTooLongError


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\n\n", b"d\ne", b"\r"]), max_size=30))
def test_any_cut_gives_the_same_lines(pieces: list[bytes]):
    whole = b"".join(pieces)
    splitter = LineSplitter(100)
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    assert [*lines, splitter.rest] == whole.split(b"\n")


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 6] * 2, [b"y\n", b"x" * 6, b"x" * 5 + b"\n"]])
def test_a_line_without_end_is_refused(pieces: list[bytes]):
    splitter = LineSplitter(10)
    *first, last = pieces
    for piece in first:
        splitter.feed(piece)
    with pytest.raises(LineTooLongError, match="longer than 10 bytes") as caught:
        splitter.feed(last)
    assert caught.value.begun.startswith(b"xxxxxx")


def test_many_short_lines_in_one_piece_are_no_long_one():
    assert LineSplitter(3).feed(b"abc\n" * 100) == [b"abc"] * 100
