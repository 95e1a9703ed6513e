"""What callers do to a connection: half-close it behind several requests, or stop reading."""

import socket
import time

from tests.e2e.running import CONFIG, running_mesh
from tests.proofs import slow
from tests.proofs.answers import statuses
from tests.proofs.inputs import request

GOOD = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}'
ESTABLISHED = 1


def test_requests_that_arrived_before_a_half_close_are_all_answered(tmp_path):
    with running_mesh(tmp_path, CONFIG) as mesh:
        assert statuses(mesh.raw(request(GOOD) * 4, eof=True)) == [200] * 4
        cut = request(GOOD) * 2
        assert statuses(mesh.raw(cut + request(GOOD)[:40], eof=True)) == [200] * 2


def test_a_reader_that_stalls_is_reset(tmp_path):
    """An orderly end would leave its unread bytes in the kernel for minutes."""
    with running_mesh(tmp_path, CONFIG.replace("protocol: HTTP}}", slow.LIMITS.replace("@", "3"))) as mesh:
        stalled = slow.stall(mesh.port, "slow read").sock
        with stalled:
            deadline = time.monotonic() + 6
            while time.monotonic() < deadline and state_of(stalled) == ESTABLISHED:
                time.sleep(0.1)
            assert state_of(stalled) != ESTABLISHED


def state_of(sock: socket.socket) -> int:
    """Of the kernel's TCP states, the one this socket is in."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
