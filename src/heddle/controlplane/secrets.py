"""Secrets, fetched from where the configuration says they are.

Owns the three notations (`${ENV}`, `file:path`, a literal) and named secrets. Values leave it only as return values:
no message,
log line or `repr` contains one. A secret that would break out of a header field (control characters) is refused.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path

from heddle.model.resources_core import SecretResource

MAX_BYTES = 64 * 1024
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KEY = "api-key"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_DATA_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}")
"""Neither leads out of the folder of secrets."""
_FILE_PUBLIC = "the file of the secret cannot be read"
_UNUSABLE = "the secret is unusable"


class SecretError(Exception):
    """A secret that could not be had; the message names it, and never its value.

    `public` is what callers may read: it tells nothing of this machine's files.
    """

    def __init__(self, message: str, public: str) -> None:
        super().__init__(message)
        self.public = public


def is_literal(text: str) -> bool:
    """Whether the configuration holds the secret itself, or a part of it."""
    return not text.startswith("file:") and not _REFERENCE.search(text)


class Secrets:
    """Where secrets come from, for one load. Remembers which files it looked at, so that they can be watched."""

    def __init__(self, environ: Mapping[str, str], declared: Mapping[str, SecretResource]) -> None:
        self._environ = environ
        self._declared = declared
        self.files: set[Path] = set()

    def __repr__(self) -> str:
        return f"Secrets({len(self._declared)} declared)"

    def resolve(self, text: str, folder: str) -> str:
        """The secret behind a field's text; paths are relative to `folder`. Raises SecretError."""
        if text.startswith("file:"):
            return self._from_file(Path(folder, text.removeprefix("file:")))
        return checked(_REFERENCE.sub(lambda found: self._from_environ(found[1]), text), "the secret")

    def document(self, text: str, folder: str) -> str:
        """As `resolve`, for a secret of several lines that is never put into a field: a key in PEM."""
        if text.startswith("file:"):
            return self._from_file(Path(folder, text.removeprefix("file:")), lines=True)
        return checked(
            _REFERENCE.sub(lambda found: self._from_environ(found[1], lines=True), text), "the secret", lines=True
        )

    def named(self, name: str, folder: str, key: str = _KEY) -> str:
        """The secret called `name`: a file beside the configuration, the environment, a Secret resource, in this
        order. Only what stands under `api-key` can come from the environment. Raises SecretError."""
        if not (_NAME.fullmatch(name) and _DATA_KEY.fullmatch(key)):
            raise SecretError("names of secrets and their keys have letters, digits, `.`, `_` and `-`", _UNUSABLE)
        path = Path(folder, "secrets", name, key)
        self.files.add(path)
        if path.exists():
            return self._from_file(path)
        variable = f"HEDDLE_SECRET_{re.sub('[^A-Z0-9]', '_', name.upper())}"
        if key == _KEY and self._environ.get(variable):
            return self._from_environ(variable)
        if name in self._declared:
            return secret_value(name, self._declared[name], key)
        places = f"{path}, ${variable}" if key == _KEY else str(path)
        message = f"secret `{name}` is in none of {places} and a Secret resource"
        raise SecretError(message, f"secret `{name}` was not found")

    def _from_environ(self, name: str, *, lines: bool = False) -> str:
        value = self._environ.get(name, "")
        if not value:
            raise SecretError(f"environment variable {name} is not set", f"environment variable {name} is not set")
        return checked(value, f"environment variable {name}", lines=lines)

    def _from_file(self, path: Path, *, lines: bool = False) -> str:
        self.files.add(path)
        try:
            # A pipe or device would never end.
            if not path.is_file():
                raise SecretError(f"file {path} does not exist", _FILE_PUBLIC)
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as exc:
            raise SecretError(f"file {path} cannot be read: {exc.strerror}", _FILE_PUBLIC) from exc
        except ValueError as exc:
            raise SecretError("the path of the file is not one", _FILE_PUBLIC) from exc
        if len(content) > MAX_BYTES:
            raise SecretError(f"file {path} is larger than {MAX_BYTES} bytes", _FILE_PUBLIC)
        return _decoded(content.removesuffix(b"\n").removesuffix(b"\r"), f"file {path}", lines=lines)


def secret_value(name: str, resource: SecretResource, key: str) -> str:
    """The value under `key` of a Secret called `name`. Raises SecretError."""
    what = f"Secret `{name}`"
    if key in resource.string_data:
        return checked(resource.string_data[key], what)
    if key not in resource.data:
        raise SecretError(f"{what} has no `{key}`", f"secret `{name}` is incomplete")
    try:
        return _decoded(base64.b64decode(resource.data[key], validate=True), what)
    except binascii.Error as exc:
        raise SecretError(f"{what}: `{key}` is not base64", f"secret `{name}` is unusable") from exc


def _decoded(content: bytes, what: str, *, lines: bool = False) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Not chained: the original carries the bytes.
        raise SecretError(f"{what} is not UTF-8 text", _UNUSABLE) from None
    return checked(text, what, lines=lines)


def checked(value: str, what: str, *, lines: bool = False) -> str:
    """The value, unless it could break out of where it is put. Raises SecretError, which calls it `what`."""
    if not value:
        raise SecretError(f"{what} is empty", _UNUSABLE)
    # RFC 9110 section 5.5: a field value with a line break would be a second field.
    allowed = "\r\n" if lines else ""
    if any((char < " " or char == "\x7f") and char not in allowed for char in value):
        raise SecretError(f"{what} contains a control character", _UNUSABLE)
    return value
