"""`authentication.yaml`: whose tokens open the resource API, and what in the file keeps it from starting."""

import json
from pathlib import Path

import pytest
from joserfc import jws
from joserfc.jwk import ECKey
from tests.unit.controlplane.access.rig import NOW_S, Rig

from heddle.controlplane.access.issuers import FILE, AuthenticationFileError, add_issuers

KEY = ECKey.generate_key("P-256", {"kid": "k", "alg": "ES256"})
GOOD = """
issuers:
- issuer: https://login.example
  audiences: [heddle]
  jwks: {file: keys.json}
  user_claim: email
  groups_claim: realm.groups
  groups_prefix: "corp:"
"""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path)
    (made.authority.folder / "keys.json").write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    return made


def written(rig: Rig, text: str) -> int:
    (rig.authority.folder / FILE).write_text(text)
    return add_issuers(rig.authority.folder, rig.access.tokens)


async def test_its_issuers_are_believed_as_it_says(rig: Rig):
    assert written(rig, GOOD) == 1
    claims = {"iss": "https://login.example", "aud": "heddle", "exp": NOW_S + 60, "email": "a@b", "sub": "1"}
    claims["realm"] = {"groups": ["ops"]}
    token = jws.serialize_compact({"alg": "ES256", "kid": "k"}, json.dumps(claims).encode(), KEY, ["ES256"])
    found = await rig.access.authenticate({"authorization": f"Bearer {token}"}, None)
    assert (found.name, found.groups) == ("oidc:a@b", ("corp:ops", "system:authenticated"))


def test_without_it_there_are_none(rig: Rig):
    assert add_issuers(rig.authority.folder, rig.access.tokens) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("- 1", "mapping"),
        ("issuer: []", "issuer"),
        (GOOD.replace("audiences: [heddle]", "audiences: []"), "audiences"),
        (GOOD.replace("audiences", "audience"), "audience"),
        (GOOD.replace("groups_claim", "groupsclaim"), "groups_claim"),
        (GOOD.replace("user_claim: email", "user_claim: ''"), "user_claim"),
        (GOOD.replace("user_claim: email", "algorithms: [none]"), "algorithms"),
        (GOOD.replace("user_claim: email", "algorithms: [HS256]"), "algorithms"),
        (GOOD.replace("corp:", "system:"), "prefix"),
        (GOOD.replace("corp:", "heddle:"), "prefix"),
        (GOOD.replace("{file: keys.json}", "{}"), "exactly one"),
        (GOOD.replace("{file: keys.json}", "{url: http://login.example/keys}"), "https"),
        (GOOD + GOOD.replace("issuers:\n", ""), "twice"),
        (GOOD.replace("https://login.example", "https://control-plane.heddle.local"), "twice"),
        ("issuers: *a", "issuers"),
    ],
)
def test_what_is_wrong_keeps_the_control_plane_from_starting(rig: Rig, text: str, said: str):
    with pytest.raises(AuthenticationFileError) as caught:
        written(rig, text)
    assert said in str(caught.value)
    assert FILE in str(caught.value)
