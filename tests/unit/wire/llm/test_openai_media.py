"""Speech, transcripts, pictures, moderation and rankings: what is read of requests, and what was used."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.model.call import Units, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm import media_usage, rerank
from heddle.wire.llm.codecs import CODECS, FORMS
from heddle.wire.llm.media_usage import EventReader
from heddle.wire.llm.openai_media import (
    FILE_TOKENS,
    IMAGE_EDITS,
    IMAGES,
    MEDIA,
    MODERATIONS,
    PICTURE_TOKENS,
    SPEECH,
    SPEECH_EVENTS,
    TRANSCRIPTIONS,
)

TYPE = "multipart/form-data; boundary=XX"


def form(**fields):
    """A form; bytes are files, lists are repeated."""
    parts = []
    for name, given_ in fields.items():
        for value in given_ if isinstance(given_, list) else [given_]:
            file = '; filename="f"' if isinstance(value, bytes) else ""
            head = f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
            parts.append(head + (value if isinstance(value, bytes) else value.encode()) + b"\r\n")
    return b"".join(parts) + b"--XX--\r\n"


def asked(codec, body, target=""):
    return codec.decode_request(body if isinstance(body, bytes) else json.dumps(body).encode(), target)


def test_all_are_codecs_and_forms_are_known():
    assert {codec.DIALECT for codec in MEDIA} <= set(CODECS)
    assert {"openai_transcriptions", "openai_translations", "openai_image_edits"} == FORMS


def test_speech_is_sound_that_streams():
    call = asked(SPEECH, {"model": "tts-1", "input": "h\u00e9llo", "voice": "alloy"})
    assert (call.operation, call.dialect, call.stream) == ("speech", "openai_speech", True)
    assert (call.characters, call.max_output_tokens, call.accepts) == (5, 40, b"*/*")


def test_speech_as_events_is_a_format_of_its_own():
    call = asked(SPEECH, {"model": "m", "input": "x", "voice": "v", "stream_format": "sse"})
    assert (call.dialect, call.accepts) == (SPEECH_EVENTS.DIALECT, b"")


def test_a_transcription_is_a_form():
    body = form(
        file=b"\x00" * 3200, model="whisper-1", language="de", **{"timestamp_granularities[]": ["word", "segment"]}
    )
    call = asked(TRANSCRIPTIONS, body, TYPE)
    assert (call.model, call.stream, call.content_type) == ("whisper-1", False, TYPE.encode())
    text = len("whisper-1") + len("de") + len("word") + len("segment")
    assert call.input_size == FILE_TOKENS + 100 + text
    assert call.body is body


@pytest.mark.parametrize(
    ("value", "stream"), [("true", True), ("True", True), ("1", True), ("false", False), ("", False)]
)
def test_a_transcription_may_stream(value, stream):
    call = asked(TRANSCRIPTIONS, form(file=b"x", model="m", stream=value), TYPE)
    assert (call.stream, call.accepts) == (stream, b"" if stream else b"*/*")


def test_only_the_model_of_a_form_is_renamed():
    body = form(prompt="model", model="old", file=b"model old")
    assert TRANSCRIPTIONS.rewrite(body, model="new", include_usage=True) == form(
        prompt="model", model="new", file=b"model old"
    )
    assert TRANSCRIPTIONS.rewrite(body, model=None, include_usage=True) is body


def test_pictures_are_counted():
    call = asked(IMAGES, {"model": "gpt-image-1", "prompt": "x", "n": 3, "stream": True})
    assert (call.stream, call.choices, call.max_output_tokens) == (True, 3, 3 * PICTURE_TOKENS)
    call = asked(IMAGE_EDITS, form(model="m", prompt="x", n="2", **{"image[]": [b"a", b"b"]}), TYPE)
    assert (call.choices, call.max_output_tokens) == (2, 2 * PICTURE_TOKENS)


def test_moderation_has_a_model_of_its_own():
    assert asked(MODERATIONS, {"input": ["a"]}).model == "omni-moderation-latest"
    assert asked(MODERATIONS, {"input": "a", "model": "m", "stream": True}).stream is False


def test_a_ranking_reads_its_question_with_every_document():
    body = {"model": "m", "query": "why", "documents": ["a", {"text": "b"}, "c"], "top_n": 2}
    call = asked(rerank, body)
    assert (call.operation, call.max_output_tokens, call.stream) == ("rerank", 0, False)
    assert call.input_size == len(json.dumps(body)) + 2 * 3


@pytest.mark.parametrize(
    ("codec", "body", "param"),
    [
        (SPEECH, {"input": "x"}, "model"),
        (SPEECH, {"model": "m*", "input": "x"}, "model"),
        (SPEECH, {"model": "m"}, "input"),
        (SPEECH, {"model": "m", "input": ["x"]}, "input"),
        (SPEECH, {"model": "m", "input": "x", "stream_format": "mp3"}, "stream_format"),
        (IMAGES, {"model": "m"}, "prompt"),
        (IMAGES, {"model": "m", "prompt": "x", "n": 0}, "n"),
        (IMAGES, {"model": "m", "prompt": "x", "n": 129}, "n"),
        (IMAGES, [], None),
        (MODERATIONS, {"model": "m"}, "input"),
        (MODERATIONS, {"input": "x", "model": 3}, "model"),
        (TRANSCRIPTIONS, form(file=b"x"), "model"),
        (TRANSCRIPTIONS, form(file=b"x", model=["m", "n"]), "model"),
        (TRANSCRIPTIONS, form(file=b"x", model=b"m"), "model"),
        (TRANSCRIPTIONS, form(file=b"x", model="m*"), "model"),
        (TRANSCRIPTIONS, form(model="m"), "file"),
        (TRANSCRIPTIONS, form(model="m", file="no file"), "file"),
        (IMAGE_EDITS, form(model="m", image=b"x", n="-1"), "n"),
        (IMAGE_EDITS, form(model="m", image=b"x", n="9" * 5000), "n"),
        (rerank, {"model": "m", "query": "", "documents": ["a"]}, "query"),
        (rerank, {"model": "m", "query": "q", "documents": []}, "documents"),
        (rerank, {"model": "m", "query": "q", "documents": ["a"] * 10_001}, "documents"),
        (rerank, {"model": "m", "query": "q", "documents": [3]}, "documents[0]"),
        (rerank, {"model": "m", "query": "q", "documents": ["a"], "top_n": 0}, "top_n"),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(codec, body, param):
    with pytest.raises(ProtocolError) as caught:
        asked(codec, body, TYPE)
    assert caught.value.param == param


def test_a_model_that_is_no_text_is_refused():
    body = form(file=b"x", model="MODEL").replace(b"MODEL", b"\xff")
    with pytest.raises(ProtocolError, match="model: expected text in UTF-8"):
        asked(TRANSCRIPTIONS, body, TYPE)


TOKENS = {"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
          "output_tokens": 45, "total_tokens": 59}  # fmt: skip
PICTURE = {
    "input_tokens": 50,
    "output_tokens": 4160,
    "total_tokens": 4210,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}


@pytest.mark.parametrize(
    ("codec", "answer", "usage"),
    [
        (TRANSCRIPTIONS, {"text": "hi", "usage": TOKENS},
         Usage(input_tokens=14, output_tokens=45, units=Units(input_audio_tokens=10))),
        (TRANSCRIPTIONS, {"text": "four words", "usage": {"type": "duration", "seconds": 9}},
         Usage(output_tokens=3, units=Units(audio_s=9))),
        (TRANSCRIPTIONS, {"text": "abcd", "duration": "8.47"}, Usage(output_tokens=1, units=Units(audio_s=8.47))),
        (TRANSCRIPTIONS,
         {"text": "x", "usage": {"prompt_audio_seconds": 13, "prompt_tokens": 4, "completion_tokens": 9}},
         Usage(input_tokens=4, output_tokens=9, units=Units(audio_s=13))),
        (TRANSCRIPTIONS, {"text": "abcdefgh"}, Usage(output_tokens=2, estimated=True)),
        (IMAGES, {"data": [], "usage": PICTURE},
         Usage(input_tokens=50, output_tokens=4160, units=Units(input_image_tokens=40))),
        (IMAGES,
         {"data": [], "usage": {**PICTURE, "output_tokens_details": {"image_tokens": 4000, "text_tokens": 160}}},
         Usage(input_tokens=50, output_tokens=4160, units=Units(input_image_tokens=40, output_image_tokens=4000))),
        (IMAGES, {"data": []}, Usage(input_tokens=25, estimated=True)),
        (MODERATIONS, {"results": []}, Usage(input_tokens=25, estimated=True)),
        (rerank, {"results": [], "usage": {"total_tokens": 56}}, Usage(input_tokens=56)),
        (rerank, {"results": [], "meta": {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 9}}},
         Usage(input_tokens=9)),
        (rerank, {"results": [], "meta": {"billed_units": {"search_units": 1}}},
         Usage(input_tokens=25, estimated=True)),
    ],
)  # fmt: skip
def test_usage_is_what_the_answer_says(codec, answer, usage):
    assert codec.read_usage(json.dumps(answer).encode(), 100) == usage


@pytest.mark.parametrize("count", [-1, 1.5, "7", True, 1e300, {}, None])
def test_counts_that_cannot_be_are_absent(count):
    body = json.dumps({"text": "", "usage": {"input_tokens": count}}).encode()
    assert TRANSCRIPTIONS.read_usage(body, 100) == Usage(estimated=True)


def test_subtitles_are_text():
    assert TRANSCRIPTIONS.read_usage(b"1\n00:00:00", 10**6) == Usage(output_tokens=3, estimated=True)
    for codec in (IMAGES, MODERATIONS, rerank):
        with pytest.raises(ProtocolError):
            codec.read_usage(b"[1]", 100)
    with pytest.raises(ProtocolError):
        rerank.read_usage(b'{"error":1}', 100)


def sse(*events):
    return b"".join(b"data: %b\n\n" % (json.dumps(one).encode() if isinstance(one, dict) else one) for one in events)


TRANSCRIPT = sse(
    {"type": "transcript.text.delta", "delta": "Hel"},
    {"type": "transcript.text.delta", "delta": "lo"},
    {"type": "transcript.text.done", "text": "Hello", "usage": TOKENS},
)


def test_events_pass_and_say_what_was_used():
    reader = TRANSCRIPTIONS.open_stream(False)
    assert reader.feed(TRANSCRIPT) == TRANSCRIPT
    assert (reader.done, reader.events) == (False, 3)
    reader.finish()
    assert (reader.done, reader.failure) == (True, None)
    assert reader.usage(10**6) == Usage(input_tokens=14, output_tokens=45, units=Units(input_audio_tokens=10))


def test_several_pictures_add_up():
    reader = IMAGES.open_stream(False)
    done = {"type": "image_generation.completed", "b64_json": "x" * (2 << 20), "usage": PICTURE}
    data = sse({"type": "image_generation.partial_image", "b64_json": "x"}, done, done)
    assert reader.feed(data) == data
    reader.finish()
    units = Units(input_image_tokens=80, output_image_tokens=8320)
    assert reader.usage(0) == Usage(input_tokens=100, output_tokens=8320, units=units)


def test_a_compatible_servers_stream_ends_with_its_mark():
    reader = EventReader()
    data = sse({"object": "transcription.chunk", "choices": [{"delta": {"content": "abcd"}}]}, b"[DONE]", {"a": 1})
    assert reader.feed(data) == data[: data.index(b"[DONE]") + 8]
    assert reader.done
    assert reader.usage(40) == Usage(input_tokens=10, output_tokens=1, estimated=True)


@pytest.mark.parametrize(
    ("data", "passed"),
    [
        (sse({"type": "error", "error": {"message": "secret"}}), b""),
        (sse(b"nonsense"), b""),
        (sse({"type": "transcript.text.delta", "delta": "a"}), sse({"type": "transcript.text.delta", "delta": "a"})),
        (b"", b""),
    ],
)
def test_a_stream_that_is_not_whole_has_failed(data, passed):
    reader = EventReader()
    assert reader.feed(data) == passed
    reader.finish()
    assert reader.failure is not None
    assert "secret" not in reader.failure.detail
    assert not reader.done
    assert reader.feed(TRANSCRIPT) == b""


def test_sound_passes_and_is_estimated_by_its_text():
    reader = SPEECH.open_stream(False)
    assert reader.usage(40) == Usage(input_tokens=10, estimated=True)
    assert reader.feed(b"ID3\x00") == b"ID3\x00"
    reader.finish()
    assert (reader.done, reader.failure) == (True, None)
    assert reader.usage(40) == Usage(input_tokens=10, output_tokens=80, estimated=True)


def test_errors_are_openais_and_sound_has_no_place_for_them():
    assert b'"message":"no"' in IMAGES.encode_error(400, "k", "c", "no", None)
    assert IMAGES.error_fields(400, "c") == []
    assert IMAGES.encode_error_event(502, "k", "c", "no", None).startswith(b"data: {")
    assert SPEECH.encode_error_event(502, "k", "c", "no", None) == b""
    with pytest.raises(ProtocolError):
        rerank.open_stream(False)


@given(st.lists(st.integers(1, 40), max_size=20))
def test_any_split_of_the_bytes_gives_the_same(sizes):
    reader, at, passed = EventReader(), 0, b""
    for size in [*sizes, len(TRANSCRIPT)]:
        passed += reader.feed(TRANSCRIPT[at : at + size])
        at += size
    reader.finish()
    assert (passed, reader.done, reader.usage(0).input_tokens) == (TRANSCRIPT, True, 14)


@given(st.binary(max_size=300))
def test_garbage_is_never_a_crash(data):
    reader = EventReader()
    reader.feed(data)
    reader.finish()
    reader.usage(10)
    for codec in (*MEDIA, rerank):
        for read in (lambda: codec.read_usage(data, 10), lambda: codec.decode_request(data, TYPE)):  # noqa: B023
            try:
                read()
            except ProtocolError:
                continue


def test_a_huge_count_of_seconds_is_none():
    assert media_usage.read_usage(b'{"usage":{"seconds":1e300}}', 0).units is None
