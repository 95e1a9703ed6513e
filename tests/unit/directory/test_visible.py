from heddle.directory.visible import clipped, is_unseen, visible


def test_plain_text_and_letters_stay():
    for text in ("plain", "größer 中文 \U0001f600", ""):
        assert visible(text) == text


def test_everything_unseen_is_spelt():
    assert visible("a\x1b[31m\u200b\u202e\n") == "a<U+001B>[31m<U+200B><U+202E><U+000A>"
    assert visible("\U000e0061\ufe0f\u3164\u2028\ud800\x9b") == ("<U+E0061><U+FE0F><U+3164><U+2028><U+D800><U+009B>")
    assert visible("a\nb", keep="\n") == "a\nb"


def test_what_is_clipped_is_one_line_of_a_bounded_length():
    shown = clipped("word\n" * 1000 + "\u200b" * 1000, 100)
    assert len(shown) <= 100
    assert shown.endswith("…")
    assert "\n" not in shown
    assert clipped("short  text") == "short text"
    assert len(clipped("\u200b" * 100_000, 100)) <= 100
    assert not any(map(is_unseen, clipped("\u200b\x1b" * 100)))
