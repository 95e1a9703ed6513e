"""Orders to read what is secret, to pass it on, or to write where it stays.

Owns three rules: `secret_access` (a place of secrets, with an order to read or pass on), `exfiltration` (what a
conversation or a file says, with an order to send it to an address), `foothold` (an order to write into what starts
by itself or instructs agents). A tool that says what it reads, or never reads, is not one that orders it.

*Source:* SAFE-MCP T1001, T1501, T1502; the address forms of RFC 3986 and RFC 5321, in their common part.
"""

import re
from collections.abc import Iterator

from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.said import Said

PLACES = (
    r"(?:~|\$home|%userprofile%|/root|/home/\S{1,40})?/?\.(?:ssh|aws|gnupg|kube|docker|azure|npmrc|netrc|pypirc|pgpass|"
    r"git-credentials|bash_history|zsh_history|config/gcloud|vault-token)(?![a-z-])[\w./-]{0,80}|"
    r"\bid_(?:rsa|ed25519|ecdsa|dsa)\b(?!\.pub)|"
    r"(?<![\w.])\.env(?:\.\w{1,16})?\b|\b(?:mcp|claude_desktop_config|\.?claude|mcp_config|mcp_settings)"
    r"\.json\b|/etc/(?:shadow|passwd|sudoers)\b|"
    r"(?:~|\$home|/home/\S{1,30}|/users/\S{1,30})/\.\w[\w./-]{1,60}|"
    r"\b(?:ssh|gpg|signing|deploy|private) keys? (?:file|folder|directory|from|in|on|at|under)\b|"
    r"\b(?:\.ssh|ssh|aws|gcloud|kube) (?:folder|directory|config(?:uration)? (?:folder|directory))\b|"
    r"\b(?:credentials?|secrets?|password|key|token) (?:file|store|helper|vault|manager)s?\b|"
    r"\b(?:keychain|keyring|password-store|dotfiles|known_hosts|tfstate|terraform\.tfvars|wp-config\.php|"
    r"secrets\.(?:ya?ml|json|toml|env)|"
    r"\w+\.pem|\w+\.p12|\w+\.kdbx|ntuser\.dat|sam hive|browser (?:profile|history|cookies)|"
    r"saved (?:logins|passwords)|\.htpasswd|private\.key|\w+_rsa)\b|/proc/(?:self|\d+)/environ\b|"
    r"\bwallet\.dat\b|\bcookies\.sqlite\b|\blogin\.keychain\b|\bcredentials\.(?:json|csv|db|ya?ml)\b|"
    r"\bservice-account\.json\b|169\.254\.169\.254|\bkubeconfig\b"
)
_PLACE = re.compile(PLACES)
_SECRET = re.compile(
    r"\b(?:api[- ]?keys?|passwords?|credentials?|secrets?|(?:access|session|auth\w*|bearer|refresh|oauth|"
    r"github) tokens?|private keys?|"
    r"ssh keys?|environment variables?|env vars?|seed phrases?|cookies|recovery phrases?|"
    r"connection strings?|credit card (?:numbers?|details)|"
    r"social security numbers?)\b"
)
_ANY = re.compile(
    r"\b(?:all|any|every|other|available|known|stored|saved|the user's|their|found|you (?:have|know|can|see|saw|hold)|"
    r"from (?:the |your |this )?(?:conversation|context|environment|memory|session|chat|workspace|machine|"
    r"system|browser|other)|"
    r"local(?:ly)?|machine|on disk|host|workspace's|project's|repository's|developer's|home|"
    r"in (?:your|the) (?:context|memory|environment|conversation|workspace)|process\.env|os\.environ|contents? of)\b"
)
_TAKE = re.compile(
    r"\b(?:read|open|cat|load|fetch|get|retrieve|obtain|grab|copy|collect|gather|harvest|extract|include|"
    r"attach|send|pass|upload|paste|print|"
    r"output|provide|supply|put|append|add|embed|insert|dump|access|exfiltrate|forward|post|submit|"
    r"transmit|leak|share|encode|look up|find|search|scan|"
    r"locate|concatenate|use|reading|sending|passing|including|uploading|pasting|attaching|copying|"
    r"providing|fill|quote|store|write|retry|resend|resubmit|again|prepend|echo|place|hand|relay|export|"
    r"reveal|list|enumerate|check|inspect|"
    r"view|examine|attempt|try|consult|query|pull|take|give|serialize|record|log|report|supply|enter|type|"
    r"summarize|stat|walk|tail|parse|"
    r"be (?:read|sent|passed|included|attached|provided|copied|pasted|appended|supplied|uploaded)|contain|set)\b"
)
_GIVEN = re.compile(
    r"\b(?:passed|sent|included|attached|supplied|given|quoted|pasted|appended|forwarded|shared|handed|"
    r"submitted|provided|added|copied|uploaded|reported|embedded|"
    r"travels?|goes|comes? along|belongs?|carr(?:y|ies)|expects?|takes|wants|requires?)\b"
)
_SETTING_UP = re.compile(
    r"\b(?:create|configur\w+|set(?:ting)? up|defin\w+|stor(?:e|ed)|sav(?:e|ed)|keep|kept|put|add|edit|"
    r"located|live|exist\w*|found|placed?|configured|generat\w+|install\w*|rotat\w+|"
    r"documented|mount\w*|protect\w*|encrypt\w*|scan\w*|path (?:to|of)|paths|names? of|comes? from|reads|"
    r"loads|uses|lists|shows|checks|never|ignore[sd]?|excluded?)\b[^.]{0,60}$"
)
_LEFT_ALONE = re.compile(
    r"[`'\")\s]*(?:\w+ ){0,2}(?:(?:is|are|was|were|will|must|should|may|can|do|does) ?(?:not|n't|never)|"
    r"cannot|never|stays?|remains?)\b"
)
_STATES = re.compile(
    r"^(?:the |this |it |a |an )?(?:\w+ ){0,2}?(?!pass\b|access\b|process\b)\w{3,}(?<!s)s (?:the|a|an|all|any|"
    r"from|files?|hosts?|keys?|whether|which|only|your|in|and|its|no)\b"
)
_AGENT_TAKES = re.compile(
    r"\b(?:assistant|agent|model|llm|ai|you) (?:then |always |also |first )?(?:reads?|includes?|sends?|"
    r"opens?|copy|copies|adds?|attach(?:es)?|"
    r"provides?|forwards?|uploads?|appends?|pass(?:es)?)\b"
)
_CONTENTS = re.compile(
    r"\b(?:contents?|text|body|value|data|dump|copy|output|lines|bytes) (?:of|from|in)\b|"
    r"\bfile contents?\b|\bfirst (?:\w+ )?(?:lines|bytes)\b|\b(?:contents|text|values?)\b|\b(?:what|"
    r"everything) is in\b"
)
_TO = re.compile(
    r"\b(?:to|at|via|into|cc|bcc|with|on|through|using|visit|open|load|fetch|render|embed|display|from|"
    r"call|ping|request|get|as) (?:\S+ ){0,4}?[('\"`<]?(?:https?://\S{3,}|"
    r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{2,60}|\d{1,3}(?:\.\d{1,3}){3}|[\w-]{2,40}\.(?:com|net|io|org|xyz|"
    r"dev|ru|cn|tk|site|online|top|example|test|invalid|co|app|cloud|info|biz|me)\b|"
    r"(?:our|the|an?|my) (?:\w+ ){0,2}?(?:external|remote|analytics|telemetry|logging|collection|"
    r"collector|audit|monitoring|backup|attacker\S*|third[- ]party) (?:server|endpoint|service|url|"
    r"webhook|address|api|host|collector|domain|site))"
)
_SEND = re.compile(
    r"\b(?:send|post|forward|upload|submit|transmit|copy|report|append|exfiltrate|email|mail|cc|bcc|"
    r"deliver|relay|share|leak|push|sync|mirror|"
    r"include|add|log|export|duplicate|replicate|be (?:sent|posted|forwarded|uploaded|copied|reported|"
    r"mirrored)|also goes?|set|change|replace|redirect|route|blind copy|encode|concatenate|visit|open|"
    r"load|fetch|render|embed|ping|request|insert|put|place|pass|write|stream|back up|dump|deposit|hand)\b"
)
_GOODS = re.compile(
    r"\b(?:conversations?|chat|histor(?:y|ies)|messages?|prompts?|contents?|results?|responses?|outputs?|"
    r"data|credentials?|files?|e-?mails?|everything|"
    r"anything|all|keys?|tokens?|secrets?|passwords?|context|documents?|transcripts?|attachments?|"
    r"information|variables?|source code|a copy|copies|details|"
    r"arguments?|parameters?|inputs?|quer(?:y|ies)|recipients?|payments?|transfers?|funds|code|"
    r"repositor(?:y|ies)|logs|records?|contacts|it|them|summary|summaries|answers?|text|body|names?|user|"
    r"address(?:es)?|search|replies|calls?)\b"
)
_WRITE = re.compile(
    r"\b(?:write|append|add|insert|modify|edit|install|create|put|save|place|inject|copy|paste|drop|"
    r"change|replace|register|store)\b"
)
_FOOTHOLD = re.compile(
    r"authorized_keys|\.(?:bashrc|zshrc|bash_profile|profile)\b|\bcrontab\b|\bcron job\b|\.cursorrules\b|"
    r"\bclaude\.md\b|\bagents\.md\b|\.cursor/|"
    r"copilot-instructions|\bmcp\.json\b|claude_desktop_config|\.git/hooks|/etc/(?:hosts|sudoers|cron)|"
    r"\blaunchagents\b|systemd unit|\.vscode/(?:settings|tasks)"
)
_FROM_HERE = re.compile(
    r"\b(?:also|always|every|each|must|silently|secretly|additionally|bcc|first|before|after|then|"
    r"whenever|should|make sure|ensure|you|assistant|agent|model|copy of|automatically)\b"
)


def secrets_in(said: Said) -> Iterator[Sign]:
    """Every such order in one sentence."""
    if _orders_access(said) or _asks_for_contents(said):
        yield Sign("secret_access", "high", said.text)
    if _orders_sending(said):
        yield Sign("exfiltration", "high", said.text)
    if said.orders and _pair(said, _WRITE, _FOOTHOLD, 100):
        yield Sign("foothold", "high", said.text)


def _orders_access(said: Said) -> bool:
    if not said.asks:
        return False
    for place in _PLACE.finditer(said.text):
        left_alone = _LEFT_ALONE.match(said.text, place.end())
        if (
            said.meant(place)
            and left_alone is None
            and not _SETTING_UP.search(said.text, 0, place.end())
            and _is_taken(said, place)
        ):
            return True
    if said.asks and (_pair(said, _AGENT_TAKES, _PLACE, 160) or _needs_contents(said)):
        return True
    # That a caller has to give a key of its own is what every service says; any key that can be found is another thing.
    return said.asks and _ANY.search(said.text) is not None and _pair(said, _TAKE, _SECRET, 90) and not _own_key(said)


def _is_taken(said: Said, place: "re.Match[str]") -> bool:
    """Whether what is in a place is asked for, and not only the place named, as `the path of` a file."""
    if said.role == "parameter":
        return _CONTENTS.search(said.text, 0, place.start()) is not None
    if not said.orders:
        given = _GIVEN.search(said.text)
        return _CONTENTS.search(said.text, 0, place.start()) is not None or (given is not None and said.meant(given))
    return _STATES.match(said.text) is None or _CONTENTS.search(said.text, 0, place.start()) is not None


def _needs_contents(said: Said) -> bool:
    needed = re.search(
        r"\b(?:is|are) (?:also |first |always )?(?:required|expected|needed|necessary|mandatory)\b", said.text
    )
    place = _PLACE.search(said.text)
    if needed is None or place is None or not said.meant(needed):
        return False
    return _CONTENTS.search(said.text, 0, place.start()) is not None


def _own_key(said: Said) -> bool:
    return re.search(r"\byour (?:own )?(?:\w+ )?(?:api[- ]?key|password|token|credentials?)\b", said.text) is not None


def _asks_for_contents(said: Said) -> bool:
    """A parameter that wants what stands in a place of secrets."""
    if said.role != "parameter":
        return False
    begins = re.match(
        r"(?:the |a |full |entire |raw |complete |base64\S* |encoded |plain |exact )*(?:contents?|text|"
        r"value|data|dump|copy|output)\b",
        said.text,
    )
    place = _PLACE.search(said.text)
    if place is None or said.denied(place.start()):
        return False
    return begins is not None or _CONTENTS.search(said.text, 0, place.start()) is not None


def _orders_sending(said: Said) -> bool:
    if not said.asks or (said.purpose and not _FROM_HERE.search(said.text)):
        return False
    where = next((found for found in _TO.finditer(said.text) if said.meant(found)), None)
    if where is None:
        return False
    return any(_GOODS.search(said.text, sent.end(), where.end()) and said.meant(sent)
               for sent in _SEND.finditer(said.text, 0, where.start() + 4))  # fmt: skip


def _pair(said: Said, verb: "re.Pattern[str]", thing: "re.Pattern[str]", within: int) -> bool:
    """Whether a verb that is meant is near a thing: before it, or behind it in the passive."""
    things = [(found.start(), found.end()) for found in thing.finditer(said.text)]
    if not things:
        return False
    for found in verb.finditer(said.text):
        near = any(-within // 2 <= begin - found.end() <= within for begin, _ in things)
        inside = any(begin <= found.start() < end for begin, end in things)
        if near and not inside and said.meant(found):
            return True
    return False


_SECRET_WORDS = (
    {"ssh", "rsa"}, {"id", "rsa"}, {"ssh", "key"}, {"private", "key"}, {"aws", "credentials"}, {"env", "file"},
    {"dotenv"}, {"etc", "passwd"}, {"etc", "shadow"}, {"mcp", "json"}, {"system", "prompt"}, {"api", "keys"},
    {"environment", "variables"},
)  # fmt: skip
_TAKING_WORDS = frozenset(
    [
        "content",
        "contents",
        "read",
        "reading",
        "send",
        "sending",
        "dump",
        "include",
        "including",
        "pass",
        "steal",
        "exfiltrate",
        "from",
        "of",
        "upload",
        "paste",
        "copy",
    ]
)


def name_takes(words: tuple[str, ...]) -> Iterator[Sign]:
    """A key that orders in its own words: `content_from_reading_ssh_id_rsa`."""
    said = frozenset(words)
    if len(words) >= 3 and said & _TAKING_WORDS and any(secret <= said for secret in _SECRET_WORDS):
        yield Sign("secret_access", "high", " ".join(words))
