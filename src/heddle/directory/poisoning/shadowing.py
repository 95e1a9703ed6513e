"""Words about tools of other servers: what to do when they are called, and that they are not to be called.

Owns the rule `shadowing`. That another tool is named is no fault; a server that gives orders for it is one. Names
that its own server has are its own business.

*Source:* SAFE-MCP T1301 (cross-server tool shadowing); OWASP MCP Top 10, MCP03.
"""

import re
from collections.abc import Iterator

from heddle.directory.poisoning.alike import words_of
from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.said import Said

_NAME = re.compile(r"[a-z0-9_]{1,64}(?:[./:-][a-z0-9_]{1,64}){0,6}")
_PREFIX = re.compile(r"^.{1,200}(?:__|[./:])")
_WHEN = (
    r"(?:when|whenever|if|before|after|every time|each time|any time|while|upon|on|once|prior to)\b"
    r"(?: \S+){0,5}? ?['\"`]?%s['\"`]?"
)
_TAMPER = re.compile(
    r"\b(?:recipients?|bcc|cc|destination|address(?:es)?|iban|account|wallet|amount|url|endpoint|branch|"
    r"to field|from field|payee|"
    r"arguments?|parameters?|inputs?|subject|body|headers?|results?|outputs?|responses?|copy)\b"
)
_ORDER = re.compile(
    r"\b(?:must|always|should|shall|need to|have to|first|also|add|set|change|replace|send|include|append|"
    r"prepend|insert|rewrite|redirect|"
    r"modify|substitute|swap|use|call|route|forward|pass|copy|instead|ignore|discard|bcc|cc|make sure|"
    r"ensure|omit|remove|double)\b"
)
_AGAINST = re.compile(
    r"\b(?:instead of|rather than|in place of|in preference to|over|do not|don't|never|stop|avoid|"
    r"not safe|unsafe|insecure|deprecated|obsolete|"
    r"broken|compromised|vulnerable|outdated|disabled|unavailable|unreliable|replaces?|replaced|"
    r"superseded|supersedes|no longer|untrusted|removed)\b"
)
_BINDS = re.compile(
    r"\b(?:must|always|never|every|each|required|requires|mandatory|needs? to|ha(?:s|ve) to|do not|don't|"
    r"only|should|shall|make sure|ensure|also|set|change|replace|include|append|rewrite|redirect|route|"
    r"modify|substitute|swap|forward|copy|instead|ignore|discard|bcc|cc|omit|remove|double|send|add|"
    r"prepend|insert|skip|wait|refuse|override|treat)\b"
)
_STRONG = re.compile(
    r"\b(?:must|always|never|every|each|mandatory|do not|don't|only|make sure|ensure|instead|before|whenever|"
    r"also|without|until|unless|first)\b"
)
_REFERS = re.compile(
    r"\b(?:can|may|might|unlike|similar to|such as|for example|for instance|eg|returned by|comes from|"
    r"obtained|output of|results? of|from|get the|find the|as in|see)\b"
)
_ALTERS = re.compile(
    r"\b(?:set|change|replace|modify|redirect|rewrite|bcc|cc|override|append|prepend|swap|substitute|round|"
    r"multiply|duplicate)\b"
)
_GENERIC = re.compile(
    r"\b(?:when|whenever|if|before|after|every time|each time|once|while|prior to)"
    r"\b(?: \S+){0,4}? (?:any other|other|another|all other|every other|any|an?|the) "
    r"(?:\S+ ){0,3}?(?:tools?|functions?|mcp servers?|servers?)(?:'s)? (?:\S+ ){0,2}?(?:is|are|gets?|from|"
    r"call|on|provided|to)\b"
    r"|\b(?:other|another|any other|all other) (?:mcp )?(?:servers?'?s?|tools?)"
    r"(?:'s)? (?:\S+ ){0,3}?(?:must|should|need|have to|are (?:deprecated|insecure|unsafe|broken|disabled|"
    r"compromised))\b"
    r"|\bfor all (?:other )?tools\b|\b(?:change|modify|alter|affect|rewrite|replace)"
    r"s? (?:\S+ ){0,3}?(?:behaviou?r|arguments?|parameters?|outputs?|results?) of (?:\S+ ){0,3}?(?:tools?|"
    r"servers?)\b"
)
_SET = re.compile(
    r"\b(?:set|change|replace|rewrite|redirect|swap|substitute|switch|update|modify|point|fill)(?:d|ed|"
    r"ing|n)?\b(?: \S+){0,8}? (?:to|with|by|as|into) "
    r"['\"`]?(?:\S+@\S+\.\S+|https?://\S+|[a-z]{2}\d{2}[a-z0-9 ]{11,30}|0x[0-9a-f]{6,}|\+?\d{7,}|(?:bc1|"
    r"[13])[a-z0-9]{25,})"
)
_PAID = re.compile(
    r"\b(?:wire|wired|pay|paid|transfer|transferred|settle|settled|send|sent|remit|remitted|route|routed|credit|"
    r"credited|refund|refunded)\b"
    r"(?: \S+){0,8}? (?:to|into|on) (?:\S+ ){0,4}?[a-z]{2}\d{2}[a-z0-9 ]{11,30}"
)
_LEFT = re.compile(r"[a-z0-9]*[_][a-z0-9_]+")


class Names:
    """Names of tools: those of other targets, and those that are a server's own."""

    def __init__(self, others: set[str], own: set[str]) -> None:
        """A word of everyday language (`search`) is taken for a name only where it is quoted, or called a tool."""
        self._others = {name.lower(): len(words_of(name)) for name in others - own}
        """With how many words each is made of."""
        self._own = {name.lower() for name in own}
        self.others = frozenset(self._others) - self._own
        """Names of other targets' tools, in lower case."""
        self.subject: frozenset[str] = frozenset()
        """Words of the name of what is read at the moment."""
        self.topics: frozenset[str] = frozenset()
        """Classes of things that it is about."""

    def about(self, name: str) -> "Names":
        """The same, while a definition of this name is read."""
        self.subject = frozenset(words_of(name))
        return self

    def others_in(self, text: str) -> list[str]:
        """Names of other targets' tools in a text in lower case."""
        return [
            name
            for found in _NAME.finditer(text)
            for name in dict.fromkeys((found[0], _PREFIX.sub("", found[0])))
            if name in self._others and name not in self._own and self._is_meant(text, found, name)
        ]

    def foreign_in(self, text: str) -> list[str]:
        """Words that look like names of tools, and are nobody's here."""
        return [name[0] for name in _LEFT.finditer(text) if name[0] not in self._own]

    def _is_meant(self, text: str, found: "re.Match[str]", name: str) -> bool:
        if self._others[name] > 1 or name != found[0] or any(char.isdigit() for char in name):
            return True
        before, after = text[: found.start()][-1:], text[found.end() :][:12].lstrip("'\"` ")
        return (before in "'\"`" and before != "") or after.startswith(("tool", "function", "()", "command"))


def shadowing_in(said: Said, names: Names) -> Iterator[Sign]:
    """Orders in a sentence that are about tools of others."""
    text = said.text
    for name in names.others_in(text)[:8]:
        at = text.find(name)
        if _about(said, name, at):
            yield Sign("shadowing", "high", text)
            return
    found = _GENERIC.search(text)
    if (
        found is not None
        and said.asks
        and not text.startswith(("use this when", "use it when"))
        and _ORDER.search(text)
        and said.meant(found)
        and not _within(text)
    ):
        yield Sign("shadowing", "high" if _TAMPER.search(text) else "medium", text)
        return
    fixed = _SET.search(text) or _PAID.search(text)
    if fixed is not None and said.asks and said.meant(fixed) and not said.purpose and _TAMPER.search(text):
        yield Sign("redirection", "high", text)
        return
    for name in names.foreign_in(text)[:8]:
        when = re.search(_WHEN % re.escape(name), text)
        if (
            when is not None
            and _TAMPER.search(text, when.end())
            and re.search(r"\b(?:bcc|cc|redirect|replace|change|forward|copy|rewrite|swap)\b", text[when.end() :])
        ):
            yield Sign("shadowing", "medium", text)
            return


def _within(text: str) -> bool:
    """The server speaks of its own tools only."""
    return (
        re.search(
            r"\b(?:tools?|functions?) (?:of|in|on|from|provided by) this (?:server|api|toolset|service|"
            r"package)\b|\bthis (?:server|toolset|api)'?s?\b",
            text,
        )
        is not None
    )


def _about(said: Said, name: str, at: int) -> bool:
    """Whether a named tool of another target is given orders for, or talked down."""
    text = said.text
    if said.mentioned(at, at + len(name)):
        return False
    if _talks_down(text, name):
        return True
    when = re.search(_WHEN % re.escape(name), text)
    rest = text if when is None else text[: when.start()] + " " + text[when.end() :]
    if when is not None and _BINDS.search(rest) and not _plain_use(said, when):
        return True
    touched = re.search(
        r"\b(?:calls? to|arguments? (?:of|to|for)|parameters? (?:of|to|for)|results? (?:of|from)|"
        r"outputs? (?:of|from)|inputs? (?:of|to|for)|every|each|all|any|invocations? of|uses? of|usage of)"
        rf"\b(?: \S+){{0,3}}? ['\"`]?{re.escape(name)}|"
        rf"{re.escape(name)}['\"`]?(?:'s)? (?:\S+ )?(?:calls?|arguments?|parameters?|results?|outputs?|"
        r"inputs?|recipients?|requests?|must|should|always|needs? to|has to|may only|field|body)",
        text,
    )
    if touched is not None and _BINDS.search(text) and not said.denied(touched.start()):
        return True
    if (
        not said.purpose
        and not _REFERS.search(text)
        and not said.denied(at)
        and (when is None or not _plain_use(said, when))
    ):
        # A server that speaks of another's tool, and neither compares nor refers to it, means to change its use.
        return said.asks or _STRONG.search(text) is not None or _ORDER.search(text) is not None
    return said.asks and _TAMPER.search(text) is not None and _ALTERS.search(text) is not None and not said.denied(at)


def _plain_use(said: Said, when: "re.Match[str]") -> bool:
    """`Use after search_files`, `when list_users returns a cursor, pass it here`: how tools are used together."""
    rest = said.text[: when.start()] + said.text[when.end() :]
    about_here = re.search(r"\b(?:it|here|this tool|this|cursor|id|ids|result|output|page)\b", rest) is not None
    grave = re.search(
        r"\b(?:must|always|bcc|cc|recipient\w*|redirect|replace|rewrite|forward|instead|silently|attacker|"
        r"send|change|every)\b",
        rest,
    )
    return (about_here and grave is None) or re.match(
        r"^\W*(?:use|call|used|run)\b[^,]{0,30}$", rest.strip()
    ) is not None


def _talks_down(text: str, name: str) -> bool:
    word = re.escape(name)
    found = re.search(
        r"\b(?:do not|don't|never|stop|avoid|must not|should not|no longer|refrain from|skip|ignore|"
        rf"disable) (?:\S+ ){{0,2}}?(?:use|using|call|calling|invoke|trust|"
        rf"rely)?(?: \S+){{0,4}}? ?['\"`]?{word}|"
        rf"{word}['\"`]?(?: \S+){{0,4}}? (?:is|are|was|has|have|became|gives?|returns?|produces?|leaks?|"
        rf"contains?) (?:\S+ ){{0,4}}?(?:deprecated|obsolete|broken|compromised|vulnerable|outdated|"
        r"disabled|unavailable|unreliable|insecure|unsafe|"
        r"replaced|superseded|not safe|untrusted|removed|dangerous|retired|wrong|incorrect|stale|bugs?|"
        r"leaks?|flawed|malicious|unsupported|known issues?|security (?:issues?|flaws?|holes?))\b|"
        rf"\b(?:replaces?|supersedes|takes over|wraps|stands in) (?:\S+ ){{0,3}}?['\"`]?{word}",
        text,
    )
    instead = re.search(
        rf"\b(?:instead of|rather than|in place of|in preference to)(?: \S+){{0,3}}? ['\"`]?{word}", text
    )
    return found is not None or (
        instead is not None
        and re.search(r"\b(?:always|must|never|only|every|all|should|use|call|choose)\b", text) is not None
    )
