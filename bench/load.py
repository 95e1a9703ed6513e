"""Drives a gateway with wrk and asks it single questions.

Owns: the request every gateway of a run gets, and reading wrk's report.
Refuses: judging the figures.
"""

import http.client
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.processes import LOAD_CORE, Process, pinned

CONF = Path(__file__).parent / "conf"
KEY = "sk-bench-0123456789abcdef0123456789"
MODEL = "gpt-4o-mini"
CHAT = "/v1/chat/completions"
CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Report:
    """One run of wrk. Times in milliseconds; `errors` counts sockets, timeouts and answers above 399."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int
    non_2xx: int

    @property
    def rps(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True)
class Cost:
    """A run of wrk and what it cost the gateway: CPU in µs per request, memory in MB."""

    report: Report
    worker_us: float
    """Of the busiest process alone."""
    tree_us: float
    """Of all its processes: exporters and parents count."""
    worker_rss_mb: float


def chat_body(model: str = MODEL, *, stream: bool = False) -> bytes:
    """A chat call of 1 KiB, as an SDK would write it."""
    system = {"role": "system", "content": "You are a terse assistant that answers in one short sentence."}
    turns = [
        {"role": "user", "content": "Summarise: " + "the quick brown fox jumps over the lazy dog " * 16},
        {"role": "assistant", "content": "A fox jumps over a dog, again and again."},
        {"role": "user", "content": "And in three words?"},
    ]
    body: dict[str, object] = {"model": model, "messages": [system, *turns], "temperature": 0.2, "max_tokens": 64}
    if stream:
        body["stream"] = True
    return json.dumps(body).encode()


def messages_body(model: str = MODEL) -> bytes:
    """The call of `chat_body`, as Anthropic's SDK would write it."""
    call = json.loads(chat_body(model))
    system, *turns = call.pop("messages")
    return json.dumps({**call, "system": system["content"], "messages": turns}).encode()


def ask(port: int, model: str = MODEL, key: str = KEY, timeout_s: float = 5.0) -> int:
    """Sends one chat call on a new connection; its status, or 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", chat_body(model), headers)
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def wait_ready(process: Process, port: int, model: str = MODEL, key: str = KEY, timeout_s: float = 90.0) -> float:
    """Seconds from the program's start to its first successful answer; RuntimeError if it ends or is too late."""
    status = 0
    while time.perf_counter() - process.started_s < timeout_s:
        status = ask(port, model, key)
        if status == 200:
            return time.perf_counter() - process.started_s
        if not process.alive():
            break
        time.sleep(0.005)
    tail = process.log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{process.name} does not answer (last status {status}):\n{tail}")


def wrk(port: int, seconds: float, body: Path, keys: Path | None = None, path: str = CHAT) -> Report:
    """Loads a port for some seconds; `body` holds the call, `keys` a line `key model` per caller to rotate over."""
    url = f"http://127.0.0.1:{port}{path}"
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(CONF / "chat.lua")]
    command = pinned(LOAD_CORE, ["wrk", *options, url, "--", str(body), KEY, str(keys or "")])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    line = next((x for x in done.stdout.splitlines() if x.startswith("{")), "")
    if not line:
        raise RuntimeError(f"wrk failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    return Report(**json.loads(line))


def measure(
    process: Process, port: int, seconds: float, body: Path, keys: Path | None = None, path: str = CHAT
) -> Cost:
    """Loads a gateway and charges the CPU it used meanwhile to the answers it gave.

    RuntimeError when it logged errors meanwhile: what fails at something costs what failing costs.
    """
    before, logged = process.cpu_s(), _errors_logged(process)
    report = wrk(port, seconds, body, keys, path)
    used = {pid: after - before.get(pid, 0.0) for pid, after in process.cpu_s().items()}
    if _errors_logged(process) > logged:
        raise RuntimeError(
            f"{process.name} logged errors under load:\n{process.log.read_text(errors='replace')[-2000:]}"
        )
    worker = max(used, key=lambda pid: used[pid])
    count = max(report.requests, 1)
    return Cost(
        report=report,
        worker_us=used[worker] / count * 1e6,
        tree_us=sum(used.values()) / count * 1e6,
        worker_rss_mb=process.rss_mb().get(worker, 0.0),
    )


def _errors_logged(process: Process) -> int:
    return process.log.read_text(errors="replace").count(" ERROR ")
