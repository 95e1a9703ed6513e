"""A strict authorization server, and a tool server behind it, for tests: real sockets, no SDK.

It refuses everything that the specifications let it refuse, counts what it was asked, and can be told to misbehave in
one way at a time. People are played by `Browser`.
"""

import asyncio
import base64
import contextlib
import hashlib
import html
import http.cookies
import json
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey
from tests.e2e.net.rig import serving

from heddle.net.message import Reply

JSON = [(b"content-type", b"application/json")]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def answer(status, value, *fields):
    return Reply(status, [*JSON, *fields], json.dumps(value).encode())


@dataclass
class AuthorizationServer:
    """Issues opaque tokens. `base` is its origin, `issuer` what it calls itself."""

    path: str = ""
    base: str = ""
    clients: dict = field(default_factory=dict)
    """client id -> {"secret", "method", "redirect_uris", "key"}"""
    codes: dict = field(default_factory=dict)
    refreshes: dict = field(default_factory=dict)
    tokens: dict = field(default_factory=dict)
    """access token -> {"resource", "scope", "subject", "client"}"""
    asked: list = field(default_factory=list)
    """(method, path) of everything."""
    forms: list = field(default_factory=list)
    """Every form that the token endpoint got, with the Authorization field as `_authorization`."""
    registrations: list = field(default_factory=list)
    well_known: str = "/.well-known/oauth-authorization-server"
    metadata: dict = field(default_factory=dict)
    """What overrides its metadata; None removes."""
    life_s: object = 3600
    iss: object = True
    """Name the issuer in answers; a text is named instead."""
    rotate: bool = True
    refuse_resource: bool = False
    delay_s: float = 0.0
    grants: dict = field(default_factory=dict)
    """What overrides the answers of the token endpoint."""
    counter: int = 0

    @property
    def issuer(self):
        return self.base + self.path

    def document(self):
        own = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "registration_endpoint": f"{self.base}/register",
            "code_challenge_methods_supported": ["S256"],
            "response_types_supported": ["code"],
            "token_endpoint_auth_methods_supported": [
                "none",
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt",
            ],
            "authorization_response_iss_parameter_supported": bool(self.iss),
        }
        return {name: value for name, value in {**own, **self.metadata}.items() if value is not None}

    async def handle(self, request):
        self.asked.append((request.method, request.path))
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if request.path == self._document_path():
            return answer(200, self.document())
        if request.path == "/authorize":
            return self.authorize(dict(parse_qsl(request.query)))
        if request.path == "/token":
            form = dict(parse_qsl((await request.body.read(65536)).decode(), strict_parsing=True))
            form["_authorization"] = (request.header(b"authorization") or b"").decode()
            self.forms.append(form)
            return self.token(form)
        if request.path == "/register":
            return self.register(json.loads(await request.body.read(65536)))
        return answer(404, {"error": "not_found"})

    def _document_path(self):
        if self.well_known == "appended":
            return f"{self.path}/.well-known/openid-configuration"
        return self.well_known + self.path

    def register(self, asked):
        self.registrations.append(asked)
        assert asked["application_type"] in {"web", "native"}
        assert asked["redirect_uris"]
        name = f"dcr-{len(self.registrations)}"
        method = asked["token_endpoint_auth_method"]
        made = {"client_id": name, "token_endpoint_auth_method": method, "redirect_uris": asked["redirect_uris"]}
        if method != "none":
            made["client_secret"] = secrets.token_urlsafe(16)
        self.clients[name] = {
            "secret": made.get("client_secret", ""),
            "method": method,
            "redirect_uris": asked["redirect_uris"],
        }
        return answer(201, {**made, **self.grants.get("register", {})})

    def authorize(self, asked):
        client = self.clients.get(asked["client_id"])
        if client is None and asked["client_id"].startswith("https://"):
            client = self.clients[asked["client_id"]] = {
                "secret": "",
                "method": "none",
                "redirect_uris": [asked["redirect_uri"]],
            }
        assert client is not None, "unknown client"
        assert asked["redirect_uri"] in client["redirect_uris"]
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", asked["code_challenge"])
        back = {"state": asked["state"]}
        if self.iss:
            back["iss"] = self.issuer if self.iss is True else self.iss
        if self.refuse_resource and "resource" in asked:
            back["error"] = "invalid_target"
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = dict(asked)
            back["code"] = code
        return Reply(302, [(b"location", f"{asked['redirect_uri']}?{urlencode(back)}".encode())])

    def token(self, form):
        client = self._client(form)
        if client is None:
            return answer(401, {"error": "invalid_client", "error_description": "SECRET words of the server"})
        grant = form["grant_type"]
        if grant == "authorization_code":
            return self._by_code(form, client)
        if grant == "refresh_token":
            return self._by_refresh(form, client)
        if grant == "client_credentials":
            return self.issue(client, form.get("scope", ""), form.get("resource", ""), "machine")
        if grant in {EXCHANGE, BEARER}:
            subject = form.get("subject_token") or form.get("assertion")
            return self.issue(client, form.get("scope", ""), form.get("resource", ""), subject)
        return answer(400, {"error": "unsupported_grant_type"})

    def _client(self, form):
        given = form["_authorization"]
        if given.startswith("Basic "):
            name, _, secret = base64.b64decode(given[6:]).decode().partition(":")
            client = self.clients.get(name)
            return name if client and client["method"] == "client_secret_basic" and client["secret"] == secret else None
        name = form.get("client_id")
        client = self.clients.get(name)
        if client is None:
            return None
        if client["method"] == "private_key_jwt":
            return name if self._asserted(name, client, form) else None
        good = {
            "none": "client_secret" not in form,
            "client_secret_post": form.get("client_secret") == client["secret"],
        }
        return name if good.get(client["method"]) else None

    def _asserted(self, name, client, form):
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        claims = jwt.decode(form["client_assertion"], client["key"], algorithms=["ES256"]).claims
        return (
            claims["iss"] == claims["sub"] == name
            and claims["aud"] == self.issuer
            and claims["jti"]
            and "client_secret" not in form
        )

    def _by_code(self, form, client):
        asked = self.codes.pop(form["code"], None)
        if asked is None or asked["client_id"] != client or asked["redirect_uri"] != form["redirect_uri"]:
            return answer(400, {"error": "invalid_grant"})
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        )
        if challenge != asked["code_challenge"] or asked.get("resource") != form.get("resource"):
            return answer(400, {"error": "invalid_grant"})
        return self.issue(client, asked.get("scope", ""), form.get("resource", ""), "person", refresh=True)

    def _by_refresh(self, form, client):
        known = self.refreshes.get(form["refresh_token"])
        if known is None or known["client"] != client:
            return answer(400, {"error": "invalid_grant"})
        if known["spent"]:
            # RFC 9700 section 4.14.2: a second use is taken for a theft, and everything is revoked.
            self.refreshes.clear()
            self.tokens.clear()
            return answer(400, {"error": "invalid_grant"})
        known["spent"] = self.rotate
        return self.issue(client, known["scope"], form.get("resource", ""), "person", refresh=self.rotate)

    def issue(self, client, scope, resource, subject, refresh=False):
        self.counter += 1
        token = f"at-{self.counter}-{secrets.token_hex(4)}"
        self.tokens[token] = {"client": client, "scope": scope, "resource": resource, "subject": subject}
        given = {"access_token": token, "token_type": "Bearer", "expires_in": self.life_s, "scope": scope}
        if refresh:
            name = f"rt-{self.counter}-{secrets.token_hex(4)}"
            self.refreshes[name] = {"client": client, "scope": scope, "spent": False}
            given["refresh_token"] = name
        given = {**given, **self.grants.get("token", {})}
        return answer(200, {name: value for name, value in given.items() if value is not None})


@dataclass
class Resource:
    """A tool server that wants tokens: `needs` are the scopes of a call."""

    base: str = ""
    path: str = "/mcp"
    servers: list = field(default_factory=list)
    """Authorization servers whose tokens it takes: `AuthorizationServer`."""
    needs: str = "tools:read"
    document: dict = field(default_factory=dict)
    published: bool = True
    calls: list = field(default_factory=list)
    """The Authorization field of every call."""

    @property
    def url(self):
        return self.base + self.path

    def metadata(self):
        own = {
            "resource": self.url,
            "authorization_servers": [server.issuer for server in self.servers],
            "scopes_supported": ["tools:read", "tools:write"],
        }
        return {name: value for name, value in {**own, **self.document}.items() if value is not None}

    async def handle(self, request):
        if request.path == f"/.well-known/oauth-protected-resource{self.path}":
            return answer(200, self.metadata()) if self.published else answer(404, {})
        if request.path != self.path:
            return answer(404, {})
        status, challenge = self.judge((request.header(b"authorization") or b"").decode())
        fields = [(b"www-authenticate", challenge.encode())] if challenge else []
        body = await request.body.read(65536)
        if status == 200 and body[:1] == b"{":
            return speak(json.loads(body))
        return answer(status, {"ok": status == 200}, *fields)

    def judge(self, given):
        """Status and challenge of a call with this Authorization field."""
        self.calls.append(given)
        where = f'resource_metadata="{self.base}/.well-known/oauth-protected-resource{self.path}"'
        token = given.removeprefix("Bearer ")
        known = next((server.tokens[token] for server in self.servers if token in server.tokens), None)
        if known is None or known["resource"] not in ("", self.url):
            return 401, f'Bearer error="invalid_token", {where}'
        if not set(self.needs.split()) <= set(known["scope"].split()):
            return 403, f'Bearer error="insufficient_scope", scope="{self.needs}", {where}'
        return 200, ""


def speak(message):
    """The least that a tool server of the older era says."""
    results = {
        "initialize": {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "notes", "version": "1"},
        },
        "tools/list": {"tools": [{"name": "search", "description": "Find notes.", "inputSchema": {"type": "object"}}]},
        "tools/call": {"content": [{"type": "text", "text": "found"}]},
    }
    if "id" not in message:
        return Reply(202, [])
    result = results.get(message["method"])
    said = {"result": result} if result else {"error": {"code": -32601, "message": "Method not found"}}
    return answer(200, {"jsonrpc": "2.0", "id": message["id"], **said})


@contextlib.asynccontextmanager
async def running(thing):
    """Serve it on loopback; its `base` is set."""
    async with serving(thing.handle) as (_, port):
        thing.base = f"http://127.0.0.1:{port}"
        yield thing


class Browser:
    """A person with a cookie jar. `fetch` is `async (method, url, fields, body) -> Reply`."""

    def __init__(self, fetch):
        self.fetch = fetch
        self.cookies = {}

    async def open(self, url, method="GET", body=b"", **fields):
        sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
        if self.cookies:
            sent.append((b"cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()).encode()))
        if method == "POST":
            sent.append((b"content-type", b"application/x-www-form-urlencoded"))
        reply = await self.fetch(method, url, sent, body)
        for name, value in reply.headers:
            if name == b"set-cookie":
                for cookie in http.cookies.SimpleCookie(value.decode()).values():
                    self.cookies[cookie.key] = cookie.value
        return reply

    async def submit(self, url, page, **fields):
        """Send the page's form back."""
        hidden = re.search(r'name="form" value="([^"]+)"', page)
        form = {"form": html.unescape(hidden[1]) if hidden else "", **fields}
        return await self.open(
            url, "POST", urlencode(form).encode(), origin="{0.scheme}://{0.netloc}".format(urlsplit(url))
        )


def onward(page):
    """Where a page leads."""
    return html.unescape(re.search(r'<a href="([^"]+)"', page)[1])


def query(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def signing_key():
    return ECKey.generate_key("P-256")
