"""What do guards cost? CPU time that twenty recognisers add to each event of a stream, and to a prompt.

Owns: the texts, and the clock. Nothing is served: a stream goes through the guards alone, in this process.
Refuses: counting what a gateway without guards does, which is a question of `stream`.
"""

import gc
import json
import time
from collections.abc import Callable

from bench.figures import Options, Result, Target
from heddle.guards.treatment import build
from heddle.model.snapshot_guards import GuardSpec
from heddle.pipeline.guard_texts import StreamTreatment, Treatment, treat_body
from heddle.wire.llm.slotted import SLOTS

NAMES = (
    "email phone card iban us_ssn uk_nhs es_dni fr_nir de_steuer_id nl_bsn ipv4 ipv6 aws_access_key github_token "
    "gitlab_token slack_token openai_key anthropic_key jwt private_key"
)
PROSE = (
    "The quick brown fox jumps over the lazy dog, and then, at 12:45 on 2026-11-21, pays 42.50 for three tickets. "
    "Nobody at the station knew that it had been there since 1987; the clock on the wall said otherwise. "
)
NUMBERS = "Card 4111 1111 1111 1111, mail joe.doe@example.com, host 192.168.1.254, id 12345678Z; next: "
ROUNDS = 7
EVENT_CHARS = 4
CLAIM_US = 15.0


class _Nothing:
    def __len__(self) -> int:
        return 0

    def hide(self, text: str, kind: str) -> str:
        del text
        return f"[{kind}]"

    def restore(self, placeholder: str) -> str:
        return placeholder


def _treatment(direction: str) -> Treatment:
    spec = GuardSpec(name="all", action="mask", recognisers=tuple(NAMES.split()))
    guards = build([spec], lambda _: (_ for _ in ()).throw(RuntimeError("none is judged")))
    lanes = guards.lanes((0,), direction, False)  # type: ignore[arg-type]
    return Treatment(lanes, _Nothing(), lambda _: None)


def _event(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None, "logprobs": None}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: %b\n\n" % json.dumps(chunk).encode()


def _best_us(once: Callable[[], int]) -> float:
    """Microseconds of CPU for one unit of what `once` did, in the quickest of some rounds."""
    once()
    gc.collect()
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        units = once()
        best = min(best, (time.process_time() - began) / units)
    return best * 1e6


def _stream_us(text: str) -> float:
    treatment = _treatment("response")
    events = [_event(text[at : at + EVENT_CHARS]) for at in range(0, len(text), EVENT_CHARS)]

    def once() -> int:
        stream = StreamTreatment(SLOTS["openai_chat"], treatment, False)
        for event in events:
            stream.feed(event)
        stream.finish()
        return len(events)

    return _best_us(once)


def _prompt_us(text: str) -> float:
    treatment, slots = _treatment("request"), SLOTS["openai_chat"]
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()

    def once() -> int:
        treat_body(body, slots.request_slots, treatment, [])
        return 1

    return _best_us(once)


def run(options: Options) -> Result:
    """The whole question."""
    del options
    prose, numbers = (PROSE * 20)[:4000], (NUMBERS * 50)[:4000]
    prose_us, numbers_us = _stream_us(prose), _stream_us(numbers)
    result = Result("Guards: twenty recognisers", ["what", "CPU, µs"])
    result.rows = [
        [f"an event of {EVENT_CHARS} characters of prose", round(prose_us, 2)],
        [f"an event of {EVENT_CHARS} characters, full of matches", round(numbers_us, 2)],
        ["a prompt of 1,000 characters of prose", round(_prompt_us(prose[:1000]), 1)],
        ["a prompt of 1,000 characters, full of matches", round(_prompt_us(numbers[:1000]), 1)],
    ]
    result.notes = ["Added to what the event costs without guards; without guards nothing of this runs."]
    result.targets = [
        Target("CPU added to an event of prose, µs", prose_us, at_most=CLAIM_US),
        Target("CPU added to an event full of matches, µs", numbers_us, at_most=CLAIM_US),
    ]
    return result
