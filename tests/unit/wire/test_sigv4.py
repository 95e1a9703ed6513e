"""Signatures: Amazon's published test suite, and the same answer as botocore for what is sent to Bedrock."""

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from heddle.wire.sigv4 import Signer

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
HOST = (b"host", b"example.amazonaws.com")
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwth"
    "Ax7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAki"
    "Y9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
UNRESERVED = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = (b"content-type", b"application/x-www-form-urlencoded")
VECTORS = [
    ("get-vanilla", "GET", "/", [], b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("get-relative", "GET", "/example/..", [], b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("get-slashes", "GET", "//example//", [], b"", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
    (
        "get-slash-pointless-dot",
        "GET",
        "/./example",
        [],
        b"",
        "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
    ),
    (
        "get-space",
        "GET",
        "/example space/",
        [],
        b"",
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    ("get-utf8", "GET", "/ሴ", [], b"", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    ("get-unreserved", "GET", UNRESERVED, [], b"", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    ("get-query", "GET", "/?ሴ=bar", [], b"", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    (
        "get-query-order-key-case",
        "GET",
        "/?Param2=value2&Param1=value1",
        [],
        b"",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-query-order-encoded",
        "GET",
        "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        [],
        b"",
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    (
        "get-header-value-trim",
        "GET",
        "/",
        [(b"my-header1", b" value1"), (b"my-header2", b' "a   b   c"')],
        b"",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    ("post-vanilla", "POST", "/", [], b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    (
        "post-x-www-form-urlencoded",
        "POST",
        "/",
        [FORM],
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
]


@pytest.mark.parametrize(
    ("method", "target", "fields", "body", "signature"), [row[1:] for row in VECTORS], ids=[row[0] for row in VECTORS]
)
def test_the_published_suite(method, target, fields, body, signature):
    signed = dict(Signer(KEY, SECRET, "us-east-1", "service").sign(method, target.encode(), [HOST, *fields], body, NOW))
    names = ";".join(sorted([name.decode() for name, _ in fields] + ["host", "x-amz-date"]))
    assert signed[b"authorization"].decode() == (
        f"AWS4-HMAC-SHA256 Credential={KEY}/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, "
        f"Signature={signature}"
    )
    assert signed[b"x-amz-date"] == b"20150830T123600Z"


def test_a_session_token_is_sent_and_signed():
    signed = dict(Signer(KEY, SECRET, "us-east-1", "service", TOKEN).sign("POST", b"/", [HOST], b"", NOW))
    assert signed[b"x-amz-security-token"] == TOKEN.encode()
    assert b"SignedHeaders=host;x-amz-date;x-amz-security-token," in signed[b"authorization"]
    assert signed[b"authorization"].endswith(b"=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead")


def test_the_key_follows_the_day():
    signer = Signer(KEY, SECRET, "us-east-1", "service")
    first, second = (
        dict(signer.sign("GET", b"/", [HOST], b"", NOW + later))[b"authorization"] for later in (0, 86_400)
    )
    fresh = dict(Signer(KEY, SECRET, "us-east-1", "service").sign("GET", b"/", [HOST], b"", NOW + 86_400))
    assert first != second == fresh[b"authorization"]


def test_given_fields_stay_and_are_not_changed():
    fields = [HOST, (b"content-type", b"application/json")]
    signed = Signer(KEY, SECRET, "us-east-1", "service").sign("POST", b"/", fields, b"{}", NOW)
    assert signed[:2] == fields
    assert len(fields) == 2


def test_no_representation_shows_a_secret():
    shown = repr(Signer(KEY, SECRET, "us-east-1", "service", TOKEN))
    assert SECRET not in shown
    assert TOKEN not in shown


MODELS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(model=MODELS, body=st.binary(max_size=50), token=st.sampled_from(["", TOKEN]))
def test_the_same_as_botocore_for_any_model(model, body, token):
    target = f"/model/{quote(model, safe='')}/converse"
    now = datetime.fromtimestamp(NOW, UTC)
    request = AWSRequest("POST", f"https://example.amazonaws.com{target}", {"content-type": "application/json"}, body)
    with patch("botocore.auth.get_current_datetime", return_value=now):
        SigV4Auth(Credentials(KEY, SECRET, token or None), "bedrock", "eu-west-1").add_auth(request)
    fields = [HOST, (b"content-type", b"application/json")]
    signed = dict(Signer(KEY, SECRET, "eu-west-1", "bedrock", token).sign("POST", target.encode(), fields, body, NOW))
    assert signed[b"authorization"].decode() == request.headers["Authorization"]
