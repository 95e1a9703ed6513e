"""Normal callers, on kept connections, for as long as something else goes on."""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from statistics import quantiles

from tests.proofs.inputs import KEY

CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "[[say hello]]"}]}


@dataclass
class Callers:
    """Calls again and again from several threads; counts, and keeps what went wrong."""

    port: int
    threads: int = 4
    pause_s: float = 0.01
    latencies_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    refused: int = 0
    """Answers with 429."""
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def answered(self) -> int:
        """Calls that succeeded."""
        return len(self.latencies_s)

    @property
    def p99_ms(self) -> float:
        """Of the calls that succeeded."""
        return quantiles(self.latencies_s, n=100)[98] * 1000

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        body, fields = json.dumps(CALL), {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        while not self.stop.is_set():
            begun = time.monotonic()
            try:
                connection.request("POST", "/v1/chat/completions", body, fields)
                response = connection.getresponse()
                response.read()
                self._judge(response.status, time.monotonic() - begun)
            except (OSError, http.client.HTTPException) as exc:
                self.errors.append(repr(exc))
                connection.close()
            self.stop.wait(self.pause_s)
        connection.close()

    def _judge(self, status: int, took_s: float) -> None:
        if status == 200:
            self.latencies_s.append(took_s)
        elif status == 429:
            self.refused += 1
        else:
            self.errors.append(f"status {status}")

    def during(self, seconds: float | None, work: threading.Thread | None = None) -> None:
        """Call for a time, or for as long as `work` takes."""
        threads = [threading.Thread(target=self._run) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        try:
            if work is not None:
                work.start()
                work.join()
            else:
                time.sleep(seconds or 0)
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
