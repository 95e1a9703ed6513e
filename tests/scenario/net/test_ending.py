"""What has happened by the time a caller can know that an answer is complete."""

from tests.scenario.net.rig import Rig

from heddle.net.message import Reply

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def test_a_stream_is_settled_before_its_end_is_sent():
    """uvloop writes at once: what comes after the last chunk may never happen."""
    transports = []
    sent_when_settled: list[bytes] = []

    async def stream(request):
        async def pieces():
            yield b"all"

        reply = Reply(200, [], pieces())
        reply.ended = lambda cut, size: sent_when_settled.append(transports[0].written)
        return reply

    rig = Rig(stream)
    transports.append(rig.connect())
    await rig.say(transports[0], GET)
    (before,) = sent_when_settled
    assert before.endswith(b"3\r\nall\r\n")
    assert transports[0].written == before + b"0\r\n\r\n"
