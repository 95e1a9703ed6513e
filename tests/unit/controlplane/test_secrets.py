"""Where secrets come from, and that they go nowhere else."""

import base64
import os
from pathlib import Path

import pytest

from heddle.controlplane.secrets import MAX_BYTES, SecretError, Secrets, is_literal
from heddle.model.meta import ObjectMeta
from heddle.model.resources_core import SecretResource

HIDDEN = "s3cret-value"


def secret_resource(**fields: dict[str, str]) -> SecretResource:
    return SecretResource(api_version="v1", kind="Secret", metadata=ObjectMeta(name="cred"), **fields)


def secrets(environ: dict[str, str] | None = None, **declared: SecretResource) -> Secrets:
    return Secrets(environ or {}, declared)


def test_notations(tmp_path: Path):
    (tmp_path / "key").write_text(HIDDEN + "\n")
    source = secrets({"KEY": HIDDEN, "B": "b"})
    assert source.resolve("literal", ".") == "literal"
    assert source.resolve("${KEY}", ".") == HIDDEN
    assert source.resolve("Bearer ${KEY}-${B}", ".") == f"Bearer {HIDDEN}-b"
    assert source.resolve("file:key", str(tmp_path)) == HIDDEN
    assert source.files == {tmp_path / "key"}


def test_what_an_environment_holds_is_not_read_again():
    assert secrets({"A": "${B}", "B": HIDDEN}).resolve("${A}", ".") == "${B}"


@pytest.mark.parametrize(("content", "expected"), [(b"a\n", "a"), (b"a\r\n", "a"), (b"a b ", "a b ")])
def test_one_line_break_at_the_end_is_dropped(tmp_path: Path, content: bytes, expected: str):
    (tmp_path / "key").write_bytes(content)
    assert secrets().resolve("file:key", str(tmp_path)) == expected


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"s3cret\nx-admin: 1", b"s3cret\x00", b"\xff\xfes3cret", b"s" * (MAX_BYTES + 1)]
)
def test_unfit_files_are_refused_without_showing_them(tmp_path: Path, content: bytes):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(SecretError) as caught:
        secrets().resolve("file:key", str(tmp_path))
    assert "s3cret" not in f"{caught.value} {caught.value.public} {caught.value!r}"
    assert caught.value.__cause__ is None
    assert str(tmp_path) not in caught.value.public


def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "key")
    with pytest.raises(SecretError):
        secrets().resolve("file:key", str(tmp_path))


@pytest.mark.parametrize("text", ["${MISSING}", "${EMPTY}", "file:missing", "file:\0", "file:"])
def test_missing(text: str, tmp_path: Path):
    with pytest.raises(SecretError):
        secrets({"EMPTY": ""}).resolve(text, str(tmp_path))


def test_a_value_from_the_environment_cannot_add_header_fields():
    with pytest.raises(SecretError, match="control character") as caught:
        secrets({"KEY": f"{HIDDEN}\r\nx: y"}).resolve("${KEY}", ".")
    assert HIDDEN not in str(caught.value)


def test_named_secrets_are_looked_for_in_order(tmp_path: Path):
    resource = secret_resource(string_data={"api-key": "from-resource"})
    source = Secrets({"HEDDLE_SECRET_MY_CRED": "from-environment"}, {"my-cred": resource, "other": resource})
    assert source.named("my-cred", str(tmp_path)) == "from-environment"
    assert source.named("other", str(tmp_path)) == "from-resource"
    (tmp_path / "secrets" / "my-cred").mkdir(parents=True)
    (tmp_path / "secrets" / "my-cred" / "api-key").write_text("from-file\n")
    assert source.named("my-cred", str(tmp_path)) == "from-file"
    assert tmp_path / "secrets" / "my-cred" / "api-key" in source.files


def test_secret_resources():
    encoded = base64.b64encode(HIDDEN.encode()).decode()
    assert secrets(cred=secret_resource(data={"api-key": encoded})).named("cred", ".") == HIDDEN
    both = secret_resource(data={"api-key": encoded}, string_data={"api-key": "text"})
    assert secrets(cred=both).named("cred", ".") == "text"
    for broken in ({"data": {"api-key": "not base64!"}}, {"data": {"other": encoded}}):
        with pytest.raises(SecretError):
            secrets(cred=secret_resource(**broken)).named("cred", ".")


def test_what_is_literal():
    assert is_literal("sk-1")
    assert is_literal("$HOME")
    assert is_literal("${}")
    assert not is_literal("file:x")
    assert not is_literal("Bearer ${X}")


def test_nothing_shows_a_secret():
    assert HIDDEN not in repr(secrets(cred=secret_resource(string_data={"api-key": HIDDEN})))
    assert HIDDEN not in repr(secret_resource(string_data={"api-key": HIDDEN}))
