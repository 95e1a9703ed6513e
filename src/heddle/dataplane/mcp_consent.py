"""The pages that people see when they connect an account: plain HTML without scripts, and the fields around it.

Owns their text and what a browser may do with them: nothing but show them and send their one form back. Every value
is escaped; nothing of a page is taken from an authorization server's words.

*Source:* W3C Content Security Policy Level 3; RFC 6265bis sections 4.1.3 (`__Host-`) and 5.6 (SameSite); RFC 9700
section 4.16 (clickjacking); OWASP, "Cross-Site Request Forgery Prevention".
"""

import base64
from hashlib import sha256
from html import escape

from heddle.identity.oauth.connecting import Offer
from heddle.net.message import Headers, Reply

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;color:#1c1c1e;"
    "background:#fbfbfd}h1{font-size:1.4rem}dt{color:#6e6e73;font-size:.85rem}dd{margin:0 0 .8rem}"
    "code{background:#eeeef2;padding:.1rem .3rem;border-radius:4px;overflow-wrap:anywhere}"
    "label{display:block;margin:1rem 0}input{font:inherit;width:100%;padding:.5rem;box-sizing:border-box}"
    "button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:6px;background:#2b5cd9;color:#fff}"
    "p.note{color:#6e6e73;font-size:.9rem}"
    "@media(prefers-color-scheme:dark){body{background:#1c1c1e;color:#f2f2f7}code{background:#3a3a3c}}"
)
_STYLE_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
# `form-action` is the gateway alone: a page answers the form, and its link leads on. A redirect would be held against
# every address that the authorization server redirects to.
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FIELDS: Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY.encode()),
    # The address of a page is a capability, that of the answer has the code in it.
    # (`no-referrer` would make browsers send `Origin: null` with our own form.)
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


def consent(offer: Offer, form: str, *, proof: bool) -> str:
    """What is asked, for whom, and the form that agrees. `form` is the value that proves where it came from."""
    asked = _listed(offer)
    fields = f'<input type="hidden" name="form" value="{escape(form)}">'
    if offer.asks:
        fields += _input("secret", f"{offer.asks}:")
    if proof:
        fields += _input("proof", "Your key or token for this gateway, the one that the caller above uses:")
    note = (
        "Whatever calls this gateway as the caller above can then use that account within these bounds. "
        "If you did not ask for this yourself, close this page."
    )
    body = (
        f"<h1>Connect {escape(offer.target)}</h1>{asked}"
        f'<form method="post">{fields}<button>Connect</button></form><p class="note">{note}</p>'
    )
    return _page(f"Connect {offer.target}", body)


def _listed(offer: Offer) -> str:
    rows = [("Tool server", f"{escape(offer.target)}, <code>{escape(offer.url)}</code>")]
    rows.append(("For", escape(offer.label)))
    if offer.server:
        rows.append(("You will be asked by", f"<code>{escape(offer.server)}</code>"))
        scopes = " ".join(f"<code>{escape(scope)}</code>" for scope in offer.scopes)
        rows.append(("Scopes", scopes or "those that it gives without being asked"))
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>"


def _input(name: str, label: str) -> str:
    attributes = f'type="password" name="{name}" autocomplete="off" required maxlength="8192"'
    return f"<label>{escape(label)} <input {attributes}></label>"


def onward(target: str, url: str) -> str:
    """Leads to the authorization server, by itself and by a link."""
    link = f'<p><a href="{escape(url)}" rel="noreferrer">Continue</a></p>'
    head = f'<meta http-equiv="refresh" content="0; url={escape(url)}">'
    return _page(f"Connect {target}", f"<h1>Connect {escape(target)}</h1>{link}", head)


def connected(target: str, label: str) -> str:
    """It is done."""
    body = (
        f"<h1>{escape(target)} is connected</h1><p>For {escape(label)}. You can close this page and go on where you "
        "came from.</p>"
    )
    return _page(f"{target} is connected", body)


def failed(detail: str) -> str:
    """It is not; `detail` is a clause."""
    sentence = f"{detail[:1].upper()}{detail[1:]}."
    return _page("Not connected", f"<h1>Not connected</h1><p>{escape(sentence)}</p>")


def _page(title: str, body: str, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width">{head}<style>{_STYLE}</style></head>'
        f"<body>{body}</body></html>"
    )


def reply(status: int, page: str, *more: tuple[bytes, bytes]) -> Reply:
    """A page as an answer."""
    return Reply(status, [*FIELDS, *more], page.encode())
