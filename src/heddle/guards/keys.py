"""Family `secret`: keys and tokens of clouds and vendors by their published prefixes, and private keys.

*Source:* the vendors' own pages on token formats and secret scanning, as of 2026-11; RFC 7519 section 3 (JWT), RFC
7468 section 2 and RFC 1421 section 4.6 (PEM).
"""

from heddle.guards.charset import ALNUM, WORD, CharSet
from heddle.guards.recogniser import Recogniser, recogniser

_TOKEN = WORD | CharSet.of("-")
_BASE64 = "[A-Za-z0-9+/=]"
_GAP = r"(\s|\\[nr]){0,4}"
_HEADER = r"(Proc-Type|DEK-Info): ?[A-Za-z0-9,-]{1,80}"

_TOKENS = {
    "aws_access_key": r"(AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z2-7]{16}",
    "google_api_key": r"AIza[A-Za-z0-9_-]{35}",
    "google_oauth": r"(ya29\.|1//0|GOCSPX-)[A-Za-z0-9_-]{24,256}",
    "azure_client_secret": r"[A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}",
    "github_token": r"gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    "gitlab_token": r"gl(pat|dt|rt|cbt|ptt|ft|imt|agent|soat|oas|ffct)-[A-Za-z0-9_.-]{20,64}",
    "slack_token": r"xox[abeoprs](\.xox[bp])?-[A-Za-z0-9-]{10,250}|xapp-\d-[A-Z0-9]{5,20}-\d{5,20}-[a-f0-9]{40,80}",
    "stripe_key": r"([sr]k_(live|test)|whsec)_[A-Za-z0-9]{16,247}",
    "openai_key": r"sk-((proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,220}|[A-Za-z0-9]{48})",
    "anthropic_key": r"sk-ant-[a-z]{3,8}\d{2}-[A-Za-z0-9_-]{40,140}",
    "heddle_key": r"sk-hd-[A-Za-z0-9_-]{43}",
    "openrouter_key": r"sk-or-v1-[0-9a-f]{64}",
    "groq_key": r"gsk_[A-Za-z0-9]{52}",
    "xai_key": r"xai-[A-Za-z0-9]{70,90}",
    "huggingface_token": r"(hf|api_org)_[A-Za-z0-9]{34}",
    "npm_token": r"npm_[A-Za-z0-9]{36}",
    "pypi_token": r"pypi-AgE[A-Za-z0-9_-]{50,400}",
    "sendgrid_key": r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
    "twilio_key": r"SK[0-9a-f]{32}",
    "digitalocean_token": r"do[opr]_v1_[a-f0-9]{64}",
    "shopify_token": r"shp(at|ca|pa|ss)_[A-Fa-f0-9]{32}",
    "telegram_token": r"\d{8,10}:AA[A-Za-z0-9_-]{33}",
}

_SPOKEN = {
    "aws_secret_key": r"(?i)aws.{0,20}secret.{0,20}[ =:\x22'/+]{1,6}[A-Za-z0-9/+]{40}",
    "azure_storage_key": r"(Account|SharedAccess)Key=[A-Za-z0-9+/]{43,86}={1,2}",
    "slack_webhook": r"https://hooks\.slack\.com/(services|workflows|triggers)/[A-Za-z0-9+/]{20,80}",
    "url_password": r"(postgres(ql)?|mysql|mariadb|mongodb(\+srv)?|rediss?|amqps?|ftp|https?)://"
    r"[^\s:@/\x22']{0,64}:[^\s@/\x22']{1,128}@",
}
"""Told by what stands in front of them; it belongs to the match."""


def _token(name: str, pattern: str) -> Recogniser:
    return recogniser(name, pattern, before=_TOKEN, after=WORD)


RECOGNISERS = (
    *(_token(name, pattern) for name, pattern in _TOKENS.items()),
    *(recogniser(name, pattern, before=ALNUM, after=ALNUM) for name, pattern in _SPOKEN.items()),
    recogniser(
        "jwt",
        r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        longest=4096,
        before=_TOKEN,
        after=_TOKEN,
    ),
    # Without its end as well, so that a key which is cut off does not pass.
    recogniser(
        "private_key",
        rf"-----BEGIN [A-Z0-9 ]{{0,30}}PRIVATE KEY( BLOCK)?-----({_GAP}{_HEADER}){{0,3}}"
        rf"({_GAP}{_BASE64}{{16,}})*({_GAP}{_BASE64}{{1,15}})?"
        rf"({_GAP}-----END [A-Z0-9 ]{{0,30}}PRIVATE KEY( BLOCK)?-----)?",
        longest=16_384,
    ),
)
