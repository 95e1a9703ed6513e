"""What is said where nothing is served, and to whom: each SDK reads failures in its own form only."""

import http.client
import json
from collections.abc import Callable, Iterator

import anthropic
import pytest
from google import genai
from google.genai import errors
from tests.e2e.running import CONFIG, RunningMesh, running_mesh

KEY = "sk-test-123"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with running_mesh(tmp_path_factory.mktemp("forms"), CONFIG) as running:
        yield running


def ask(mesh: RunningMesh, method: str, path: str, **fields: str) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", mesh.port, timeout=5)
    try:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, path, headers={"authorization": f"Bearer {KEY}", **named})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def is_openais(body: dict[str, object]) -> bool:
    error = body["error"]
    return isinstance(error, dict) and isinstance(error["code"], str) and "param" in error


def is_anthropics(body: dict[str, object]) -> bool:
    return body["type"] == "error" and isinstance(body["error"], dict) and "type" in body["error"]


def is_googles(body: dict[str, object]) -> bool:
    error = body["error"]
    return isinstance(error, dict) and isinstance(error["code"], int) and "status" in error


def is_amazons(body: dict[str, object]) -> bool:
    return set(body) == {"message"}


@pytest.mark.parametrize(
    ("method", "path", "fields", "status", "form"),
    [
        ("POST", "/v1/nothing", {}, 404, is_openais),
        ("POST", "/v1/files", {"anthropic_version": "2023-06-01"}, 404, is_anthropics),
        ("POST", "/v1/messages/batches", {}, 404, is_anthropics),
        ("GET", "/v1/messages", {}, 405, is_anthropics),
        ("POST", "/v1beta/cachedContents", {}, 404, is_googles),
        ("GET", "/v1beta/models/m:generateContent", {}, 405, is_googles),
        ("POST", "/v1/projects/p/locations/l/endpoints/e:predict", {}, 404, is_googles),
        ("POST", "/model/m/invoke", {}, 404, is_amazons),
        ("GET", "/model/m/converse", {}, 405, is_amazons),
        ("GET", "/v1/models/nope", {}, 404, is_openais),
        ("GET", "/v1/models/nope", {"anthropic_version": "2023-06-01"}, 404, is_anthropics),
        ("GET", "/v1/models/nope", {"x_goog_api_client": "x"}, 404, is_googles),
        ("GET", "/v1/models", {"anthropic_version": "2023-06-01", "authorization": "Bearer x"}, 401, is_anthropics),
        ("GET", "/v1beta/models/nope", {}, 404, is_googles),
        # A route that has a dialect keeps it, whatever else the request says.
        ("GET", "/v1/chat/completions", {"anthropic_version": "2023-06-01"}, 405, is_openais),
    ],
)
def test_failures_are_told_in_the_form_of_who_asks(
    mesh: RunningMesh,
    method: str,
    path: str,
    fields: dict[str, str],
    status: int,
    form: Callable[[dict[str, object]], bool],
) -> None:
    found, body = ask(mesh, method, path, **fields)
    assert (found, form(body)) == (status, True), body


def test_sdks_raise_what_they_document_for_a_model_that_is_not_there(mesh: RunningMesh) -> None:
    with (
        anthropic.Anthropic(base_url=f"http://127.0.0.1:{mesh.port}", api_key=KEY, max_retries=0) as client,
        pytest.raises(anthropic.NotFoundError) as caught,
    ):
        client.models.retrieve("nope")
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["type"] == "not_found_error"
    google = genai.Client(api_key=KEY, http_options={"base_url": f"http://127.0.0.1:{mesh.port}", "api_version": "v1"})
    with pytest.raises(errors.ClientError) as refused:
        google.models.get(model="nope")
    assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")
