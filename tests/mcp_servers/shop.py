"""`python -m tests.mcp_servers.shop [--port N]`: an HTTP API with an OpenAPI document.

Its operations are named as the tools of the everything-server are, so that the same questions can be asked of both.
`--document` prints the document.
"""

import argparse
import asyncio
import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from tests.mcp_servers.everything import over_http

CANCELLED: list[str] = []


async def echo(request: Request) -> Response:
    return PlainTextResponse((await request.json())["text"])


async def add(request: Request) -> Response:
    given = await request.json()
    return JSONResponse({"sum": given["a"] + given["b"]})


async def fail(_: Request) -> Response:
    return PlainTextResponse("This tool intentionally returns an error for testing", 500)


async def meta(request: Request) -> Response:
    return JSONResponse({"traceparent": request.headers.get("traceparent", "")})


async def slow(request: Request) -> Response:
    for _ in range(int(float(request.query_params["seconds"]) * 20)):
        await asyncio.sleep(0.05)
        if await request.is_disconnected():
            CANCELLED.append(request.query_params["name"])
            break
    return PlainTextResponse("done")


async def cancelled(_: Request) -> Response:
    return JSONResponse(CANCELLED)


def _body(required: bool = True, **properties: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _answers(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": "It worked.", "content": {kind: {"schema": schema}}}}


def _query(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": True, "schema": {"type": kind}}


SUM = {"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"]}
TEXT = {"type": "string"}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1.0.0", "description": "Start with echo."},
    "paths": {
        "/echo": {
            "post": {
                "operationId": "echo",
                "summary": "Says it back.",
                "requestBody": _body(text="string"),
                "responses": _answers("text/plain", TEXT),
            }
        },
        "/add": {
            "post": {
                "operationId": "add",
                "summary": "Adds two numbers.",
                "requestBody": _body(a="number", b="number"),
                "responses": _answers("application/json", SUM),
            }
        },
        "/fail": {
            "get": {
                "operationId": "test_error_handling",
                "summary": "Always fails.",
                "responses": _answers("text/plain", TEXT),
            }
        },
        "/meta": {
            "get": {
                "operationId": "meta",
                "summary": "Says which trace it belongs to.",
                "responses": _answers("application/json", {"type": "object"}),
            }
        },
        "/slow": {
            "get": {
                "operationId": "slow",
                "summary": "Takes its time.",
                "parameters": [_query("seconds", "number"), _query("name", "string")],
                "responses": _answers("text/plain", TEXT),
            }
        },
        "/cancelled": {
            "get": {
                "operationId": "cancelled",
                "summary": "Names the calls of slow that were cancelled.",
                "responses": _answers("application/json", {"type": "array", "items": TEXT}),
            }
        },
    },
}
APP = Starlette(
    routes=[
        Route("/echo", echo, methods=["POST"]),
        Route("/add", add, methods=["POST"]),
        Route("/fail", fail),
        Route("/meta", meta),
        Route("/slow", slow),
        Route("/cancelled", cancelled),
    ]
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--document", action="store_true")
    chosen = parser.parse_args()
    if chosen.document:
        print(json.dumps(DOCUMENT, indent=2))
    else:
        over_http(APP, chosen.port)


if __name__ == "__main__":
    main()
