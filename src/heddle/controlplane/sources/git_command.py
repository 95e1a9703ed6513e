"""The `git` program, run so that a repository can do nothing but be read.

Owns the arguments and the environment. No working tree is ever made, so there are no hooks, filters, links or
submodules to be followed: files are read out of the object store. Only the transports that were asked for, no
redirects, no prompts, nobody's configuration; credentials stand in files that git asks a program for, never in an
argument, an address or a message. Time and bytes are limited.
*Source:* git 2.39 documentation: `protocol.allow`, `GIT_ASKPASS`, `git-fetch`, `git-verify-commit`, gitcli.
"""

import asyncio
import os
import re
import shlex
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

TIMEOUT_S = 120.0
MAX_PACK_BYTES = 256 * 1024 * 1024
MAX_OUTPUT_BYTES = 64 * 1024 * 1024
_MAX_ERROR_CHARS = 600
_BRANCH = re.compile(r"(?!-)(?!.*(?:\.\.|@\{|//|\.lock(?:/|\Z)|/\.))[A-Za-z0-9][A-Za-z0-9._/+@#-]{0,249}(?<![./])\Z")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?/[A-Za-z0-9._~/+%-]{1,1000}\Z")
_SSH = re.compile(
    r"ssh://(?:[A-Za-z0-9._-]{1,64}@)?(?!-)[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?/[A-Za-z0-9._~/+-]{1,1000}\Z"
)
_SCP = re.compile(
    r"(?:([A-Za-z0-9._][A-Za-z0-9._-]{0,63})@)(?!-)([A-Za-z0-9.-]{1,253}):(?!/)([A-Za-z0-9._~/+-]{1,1000})\Z"
)
_FILE = re.compile(r"file:///[^\x00-\x1f\x7f]{1,4000}\Z")
_PATH = re.compile(r"(?!/)[^\x00-\x1f\x7f:]{0,1000}\Z")
_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")


class GitError(Exception):
    """Git could not do it; the message says why, and shows no credential."""


class Place(NamedTuple):
    """A folder of a branch of a repository."""

    url: str
    branch: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.url}#{self.branch}{':' if self.path else ''}{self.path}"


class Access(NamedTuple):
    """How a repository is reached."""

    username: str = ""
    """User of https; most hosts take any with a token."""
    password_file: Path | None = None
    """File with the password or token of https. Read by the program git asks, for each fetch."""
    ssh_key: Path | None = None
    known_hosts: Path | None = None
    ca_file: Path | None = None
    """PEM bundle to trust instead of the system's."""


def parse_place(text: str) -> Place:
    """`URL#branch:path`, branch and path optional. Raises ValueError saying what was expected."""
    url, _, rest = text.partition("#")
    branch, _, path = rest.partition(":")
    place = Place(_url(url), branch or "main", path.strip("/"))
    if not _BRANCH.match(place.branch):
        raise ValueError(f"{place.branch!r} is not the name of a branch")
    if not _PATH.match(place.path) or ".." in place.path.split("/"):
        raise ValueError(f"{place.path!r} is not a path inside a repository")
    return place


def _url(url: str) -> str:
    scp = _SCP.match(url)
    if scp is not None:
        url = f"ssh://{scp[1]}@{scp[2]}/{scp[3]}"
    if url.startswith("/"):
        url = f"file://{url}"
    if re.match(r"https://[^/]*@", url):
        raise ValueError("the URL holds a user or a password; those are given in files, with options of their own")
    if not any(form.match(url) for form in (_HTTPS, _SSH, _FILE)):
        expected = "https://host/path, ssh://user@host/path, user@host:path or file:///path"
        raise ValueError(f"expected a repository as {expected}")
    return url


class Git:
    """One bare repository of our own, and the program."""

    def __init__(self, folder: Path, access: Access | None = None) -> None:
        """`folder` is made, for us alone."""
        self.folder = folder
        self._access = access or Access()

    async def prepare(self) -> None:
        """Make the repository. Raises GitError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        asking = self.folder / "heddle-askpass"
        asking.write_text(_ASKPASS)
        asking.chmod(0o700)
        if not (self.folder / "HEAD").exists():
            await self.run("init", "--quiet", "--bare", "--initial-branch=main", ".")

    async def fetch(self, place: Place) -> str:
        """The newest commit of a branch, fetched alone. Raises GitError."""
        scheme = place.url.partition(":")[0]
        allowed = ["-c", f"protocol.{scheme}.allow=always"]
        reference = f"+refs/heads/{place.branch}:refs/heddle/fetched"
        options = ["--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-auto-gc", "--force"]
        await self.run(*allowed, "fetch", *options, "--", place.url, reference)
        return await self.commit("refs/heddle/fetched")

    async def commit(self, revision: str) -> str:
        """The commit that a revision of our own making names. Raises GitError."""
        found = await self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return found.decode("ascii").strip()

    async def verify(self, commit: str, signers: Path) -> None:
        """Let a commit pass that one of the signers signed: an `allowed_signers` file of ssh. Raises GitError."""
        settings = ["-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}"]
        try:
            await self.run(*settings, "verify-commit", "--end-of-options", commit)
        except GitError as exc:
            raise GitError(f"commit {commit[:12]} is not signed by anyone in {signers}: {exc}") from exc

    async def run(self, *arguments: str, given: bytes = b"") -> bytes:
        """What git prints. Raises GitError with what it says is wrong."""
        # The limit on one file is the limit on a pack: git writes what it fetches into one.
        limit = f'ulimit -f {MAX_PACK_BYTES // 512}; exec git "$@"'
        command = ["sh", "-c", limit, "git", *_SETTINGS, *arguments]
        with tempfile.TemporaryFile() as file:
            # Not a pipe: git may end before it has read all of one.
            file.write(given)
            file.seek(0)
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self.folder,
                env=self._environment(),
                stdin=file,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                printed, said = await process.communicate()
        except TimeoutError as exc:
            raise GitError(f"git {_verb(arguments)} took longer than {TIMEOUT_S:g} s") from exc
        finally:
            # Also its children: ssh, and the program that speaks https.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if process.returncode != 0:
            raise GitError(_said(said) or f"git {_verb(arguments)} ended with {process.returncode}")
        if len(printed) > MAX_OUTPUT_BYTES:
            raise GitError(f"git {_verb(arguments)} printed more than {MAX_OUTPUT_BYTES} bytes")
        return printed

    def _environment(self) -> dict[str, str]:
        access = self._access
        made = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "GIT_DIR": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": str(self.folder / "heddle-askpass"),
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_SSH_COMMAND": _ssh(access),
        }
        if access.password_file is not None:
            made |= {"HEDDLE_GIT_FILE": str(access.password_file), "HEDDLE_GIT_USER": access.username or "git"}
        if access.ca_file is not None:
            made["GIT_SSL_CAINFO"] = str(access.ca_file)
        return made


_SETTINGS = [
    item
    for setting in (
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "core.symlinks=false",
        "credential.helper=",
        "protocol.allow=never",
        "http.followRedirects=false",
        "http.lowSpeedLimit=1000",
        "http.lowSpeedTime=30",
        "fetch.fsckObjects=true",
        "fetch.unpackLimit=1",
        "submodule.recurse=false",
        "gc.auto=0",
        "maintenance.auto=false",
    )
    for item in ("-c", setting)
]
_ASKPASS = """#!/bin/sh
# Git asks this for a user and a password, and reads what it prints. Both come from files; nothing is an argument.
case "$1" in
  Username*) printf '%s\\n' "${HEDDLE_GIT_USER:-git}" ;;
  *) [ -n "$HEDDLE_GIT_FILE" ] && exec cat -- "$HEDDLE_GIT_FILE" ;;
esac
"""


def _ssh(access: Access) -> str:
    options = ["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=15"]
    if access.known_hosts is not None:
        options += ["-o", f"UserKnownHostsFile={access.known_hosts}"]
    if access.ssh_key is not None:
        options += ["-i", str(access.ssh_key), "-o", "IdentitiesOnly=yes"]
    return shlex.join(["ssh", *options])


def _verb(arguments: tuple[str, ...]) -> str:
    return next((one for one in arguments if one.isalpha() or one in ("verify-commit", "rev-parse")), "")


def _said(printed: bytes) -> str:
    """What git said is wrong, on one line, without credentials."""
    lines = [line.strip() for line in printed.decode("utf-8", "replace").splitlines() if line.strip()]
    text = "; ".join("".join(char for char in line if char.isprintable()) for line in lines)
    return _USERINFO.sub("", text)[:_MAX_ERROR_CHARS]
