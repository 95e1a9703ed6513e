"""Control planes as processes of their own, and clients of theirs that go on at another when one is gone.

The clients are the official `kubernetes` client and `lightkube`, over TLS with client certificates. A writer says what
was acknowledged, a watcher what it was told; each goes to the next server at once when one fails it.
"""

import base64
import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import kubernetes
import lightkube
import urllib3
import yaml
from lightkube.config.kubeconfig import KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap
from tests.e2e.running import eventually, free_ports

from heddle.controlplane.replicas.database import DATABASE

NAMESPACE = "proof"
LAST = "last"
"""What is written when everything is over; no part of what is compared."""
OBJECTS = 4
"""Of each writer."""
FAILURES = (OSError, urllib3.exceptions.HTTPError, AttributeError)
"""How the official client says that a server is gone; the last one where TLS ends early, a defect of it."""


class Replica:
    """A control plane that is started again as it was."""

    def __init__(self, folder: Path, name: str, database: str = "", key: Path | None = None, *arguments: str) -> None:
        """`database` is the address of one; without it, a file of its own. `arguments` are further ones."""
        self.state = folder / name
        self.port, self.stream = free_ports(2)
        self.log = folder / f"{name}.out"
        self._command = [sys.executable, "-m", "heddle.controlplane.whole", "--state", str(self.state)]
        self._command += ["--port", str(self.port), "--gateways-port", str(self.stream)]
        if key is not None:
            self._command += ["--key-file", str(key)]
        self._command += arguments
        self._environ = {**os.environ, **({DATABASE: database} if database else {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Replica":
        """Start it; it may not serve yet."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environ)
        return self

    def serves(self) -> bool:
        """Whether it says that it is ready."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3_000:]
        try:
            found = httpx.get(f"https://127.0.0.1:{self.port}/readyz", verify=False, timeout=2)
        except httpx.HTTPError:
            return False
        return found.status_code == 200

    def wait(self) -> "Replica":
        """Until it serves."""
        eventually(self.serves, 60)
        return self

    def kill(self) -> None:
        """However it is."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """As asked; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def kubeconfig(self, file: Path) -> Path:
        """An administrator's, for this one."""
        command = [sys.executable, "-m", "heddle", "kubeconfig", "--state", str(self.state), "--out", str(file)]
        subprocess.run([*command, "--server", f"https://127.0.0.1:{self.port}"], check=True, capture_output=True)
        return file


class Turns:
    """Which server is asked: the next one when one failed."""

    def __init__(self, kubeconfigs: list[Path], first: int) -> None:
        self.kubeconfigs, self.turn = kubeconfigs, first

    @property
    def now(self) -> Path:
        return self.kubeconfigs[self.turn % len(self.kubeconfigs)]

    def official(self) -> kubernetes.client.CoreV1Api:
        """A client of the server whose turn it is."""
        # Not `new_client_from_config`: threads that load the same file at once get in the way of each other's copies.
        settings = kubernetes.client.Configuration()
        said = yaml.safe_load(self.now.read_text())
        cluster, user = said["clusters"][0]["cluster"], said["users"][0]["user"]
        settings.host, settings.retries = cluster["server"], False
        for field, encoded in (
            ("ssl_ca_cert", cluster["certificate-authority-data"]),
            ("cert_file", user["client-certificate-data"]),
            ("key_file", user["client-key-data"]),
        ):
            path = self.now.with_suffix(f".{field}.{threading.get_ident()}")
            path.write_bytes(base64.b64decode(encoded))
            setattr(settings, field, str(path))
        return kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(settings))

    def next(self) -> None:
        self.turn += 1
        if self.turn % len(self.kubeconfigs) == 0:
            # All were asked: the one there is may be starting.
            time.sleep(0.02)


class Writer:
    """Writes one object after the other, and remembers what was acknowledged."""

    def __init__(self, number: int, turns: Turns, done: threading.Event, acknowledged: Callable[[], None]) -> None:
        self.acknowledged: list[tuple[str, str | None, int | None]] = []
        """Name, value (None: deleted), resourceVersion (None where the answer does not say)."""
        self.refused = 0
        self.unknown: list[str] = []
        """Errors that are none of a server that is gone."""
        self._number, self._turns, self._done, self._told = number, turns, done, acknowledged
        self.thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        rng, api, count = random.Random(self._number), self._turns.official(), 0
        while not self._done.is_set():
            count += 1
            name = f"w{self._number}-{rng.randrange(OBJECTS)}"
            value = None if rng.random() < 0.15 else f"{self._number}-{count}"
            try:
                version = _put(api, name, value)
            except kubernetes.client.exceptions.ApiException as exc:
                # What was written without an answer may be there, or gone, unexpectedly.
                if exc.status in {404, 409}:
                    continue
                self.refused += 1
                if exc.status not in {503, 504}:
                    self.unknown.append(f"{exc.status} {exc.body}"[:300])
                api = self._again(api)
            except FAILURES:
                self.refused += 1
                api = self._again(api)
            else:
                self.acknowledged.append((name, value, version))
                self._told()
                time.sleep(0.01)
        api.api_client.close()

    def _again(self, api: kubernetes.client.CoreV1Api) -> kubernetes.client.CoreV1Api:
        api.api_client.close()
        self._turns.next()
        return self._turns.official()


def _put(api: kubernetes.client.CoreV1Api, name: str, value: str | None) -> int | None:
    """Delete, replace or create it; the version, where the answer says one."""
    options: dict[str, Any] = {"_request_timeout": 5}
    if value is None:
        api.delete_namespaced_config_map(name, NAMESPACE, **options)
        return None
    body = {"metadata": {"name": name}, "data": {"value": value}}
    try:
        made = api.replace_namespaced_config_map(name, NAMESPACE, body, **options)
    except kubernetes.client.exceptions.ApiException as exc:
        if exc.status != 404:
            raise
        made = api.create_namespaced_config_map(NAMESPACE, body, **options)
    return int(made.metadata.resource_version)


class Watcher:
    """Follows all objects of the writers; resumes elsewhere where it was."""

    def __init__(self, turns: Turns, after: str, done: threading.Event) -> None:
        self.events: list[tuple[str, int, str, str]] = []
        """Type, version, name, value."""
        self.expired = 0
        self.errors: list[str] = []
        self.broken = 0
        self.after = after
        self._turns, self._done = turns, done
        self.thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._done.is_set():
            try:
                self._follow()
            except Exception as exc:
                self.broken += 1
                self.errors.append(repr(exc)[:300])
                if "410" in str(exc) or "Expired" in str(exc):
                    self.expired += 1
            self._turns.next()

    def _follow(self) -> None:
        raise NotImplementedError

    def _told(self, kind: str, version: str, name: str, data: dict[str, str] | None) -> None:
        if name != LAST:
            self.events.append((kind, int(version), name, (data or {}).get("value", "")))
        self.after = version


class OfficialWatcher(Watcher):
    """With the watch of the `kubernetes` client."""

    def _follow(self) -> None:
        api = self._turns.official()
        try:
            stream = kubernetes.watch.Watch().stream(
                api.list_namespaced_config_map, NAMESPACE, resource_version=self.after, timeout_seconds=5
            )
            for event in stream:
                one = event["object"]
                self._told(event["type"], one.metadata.resource_version, one.metadata.name, one.data)
                if self._done.is_set():
                    break
        finally:
            api.api_client.close()


class LightkubeWatcher(Watcher):
    """With lightkube's."""

    def _follow(self) -> None:
        client = lightkube.Client(config=KubeConfig.from_file(self._turns.now), timeout=10)
        for kind, one in client.watch(ConfigMap, namespace=NAMESPACE, resource_version=self.after, server_timeout=5):
            assert isinstance(one.metadata, ObjectMeta)
            self._told(kind, str(one.metadata.resourceVersion), str(one.metadata.name), one.data)
            if self._done.is_set():
                break


class Clients:
    """Four writers and two watchers, until the block is left."""

    def __init__(self, kubeconfigs: list[Path]) -> None:
        self._done, self._ended = threading.Event(), threading.Event()
        self._last_s, self._lock = time.monotonic(), threading.Lock()
        self.gaps_s: list[float] = []
        """Times without an acknowledged write, of more than a twentieth of a second."""
        self._turns = Turns(kubeconfigs, 0)
        api = self._turns.official()
        with contextlib.suppress(kubernetes.client.exceptions.ApiException):
            api.create_namespace({"metadata": {"name": NAMESPACE}})
        after = api.list_namespaced_config_map(NAMESPACE).metadata.resource_version
        self.began = int(after)
        self.writers = [Writer(n, Turns(kubeconfigs, n), self._done, self._acknowledged) for n in range(4)]
        self.watchers = [
            OfficialWatcher(Turns(kubeconfigs, 0), after, self._ended),
            LightkubeWatcher(Turns(kubeconfigs, 1), after, self._ended),
        ]

    def _acknowledged(self) -> None:
        with self._lock:
            before, self._last_s = self._last_s, time.monotonic()
            if self._last_s - before > 0.05:
                self.gaps_s.append(self._last_s - before)

    @property
    def count(self) -> int:
        """Acknowledged writes."""
        return sum(len(one.acknowledged) for one in self.writers)

    def __enter__(self) -> "Clients":
        self._last_s = time.monotonic()
        for one in (*self.writers, *self.watchers):
            one.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for writer in self.writers:
            writer.thread.join()
        # What was written last is told, too.
        last = max((version or 0 for one in self.writers for _, _, version in one.acknowledged), default=0)
        with contextlib.suppress(AssertionError):
            eventually(lambda: all(int(one.after) >= last for one in self.watchers), 20)
        self._ended.set()
        # lightkube's watch goes on by itself until something happens.
        _put(self._turns.official(), LAST, "end")
        for watcher in self.watchers:
            watcher.thread.join()


@contextlib.contextmanager
def running(*replicas: Replica) -> Iterator[None]:
    """Ends them all, whatever happens."""
    try:
        yield
    finally:
        for one in replicas:
            one.kill()
