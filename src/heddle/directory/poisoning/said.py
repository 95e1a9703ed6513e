"""How a sentence is meant: as a statement of what a thing does, or as an order to who reads it.

Owns the reading that all rules over prose share. A text is folded (compatibility forms, look-alike letters, unseen
characters, case), cut into sentences, and of each sentence it is told whether it orders ("you must read", "before you
answer, read") or states ("reads", "never reads", and the imperative in which tools name their own purpose). Words that
deny ("never", "does not") cover what follows them, up to a word that turns the sentence ("but", "so", "instead").

*Source:* the published failures of scanners that match words alone: they take "never reads ~/.ssh/id_rsa" for theft.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from heddle.directory.poisoning.texts import Role
from heddle.directory.visible import is_unseen

MAX_SENTENCE_CHARS = 700
_OVERLAP = 150
_LOOKALIKES = str.maketrans({
    "\u0430": "a", "\u0441": "c", "\u0435": "e", "\u0456": "i", "\u0458": "j", "\u043e": "o", "\u0440": "p",
    "\u0455": "s", "\u0445": "x", "\u0443": "y", "\u0501": "d", "\u0261": "g", "\u04bb": "h", "\u051b": "q",
    "\u051d": "w", "\u0475": "v", "\u03bf": "o", "\u03bd": "v", "\u03c1": "p", "\u0131": "i", "\u04cf": "l",
    "\u0410": "A", "\u0412": "B", "\u0421": "C", "\u0415": "E", "\u041d": "H", "\u0406": "I", "\u041a": "K",
    "\u041c": "M", "\u041e": "O", "\u0420": "P", "\u0422": "T", "\u0425": "X", "\u0423": "Y", "\u043a": "k",
    "\u043c": "m", "\u0442": "t", "\u0432": "b", "\u043d": "h", "\u2018": "'", "\u2019": "'", "\u201c": '"',
    "\u201d": '"', "\u2013": "-", "\u2014": "-",
})  # fmt: skip
_ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|etc|vs|approx|incl|no|max|min)\.", re.IGNORECASE)
_WRAP = re.compile(r"[ \t]*\r?\n[ \t]*(?=[a-z~/.`\"'(<\[])")
_STOP = re.compile(r"(?<=[.!?])[\"')\]]?\s+|[\r\n]+|;\s|\u3002|\s[*\u2022]\s")
_BULLET = re.compile(r"^(?:[-*#>\u2022\s]+|\(?\d{1,2}[.)]\s+|step \d{1,2}\s*[:.)-]\s*|<[a-z_ /-]{1,20}>|\W+)+")

ADDRESSED = re.compile(
    r"\b(?:you|your|assistant|model|agents?|llm|ai|claude|chatgpt|copilot|cursor)\b(?=.{0,60}\b(?:must|should|shall|"
    r"needs?|have|has|required|expected|instructed|asked|supposed|want|may not|can|will|are to|is to)\b)|\b(?:always|"
    r"first|please|(?:make|be) sure|ensure|remember to|(?:important|required|mandatory|necessary|essential|critical|"
    r"crucial|vital)\b|do(?: not|n't) forget|must|needs? to|ha(?:ve|s) to|before (?:you|using|calling|"
    r"invoking|running|any|"
    r"each|every|the|this|answering|responding|proceeding)|prior to|immediately|in order to (?:use|call|work|function)|"
    r"for (?:this|the) tool to|once you|whenever|every time|each time|any time|should|shall|also|then|when (?:you|this|"
    r"calling|using|invoked|called)|after (?:you|this|using|calling|each|every|any)|"
    r"as (?:the|a|an|your) (?:first|last|next|final|initial) step|as a precondition|"
    r"(?:callers?|clients?|agents?|assistants?|models?|llms?|integrations?|orchestrators?|consumers?|"
    r"whoever|anyone|hosts?)"
    r" (?:who |that |which |using |calling |this |the |tool |\w+ly |then |also |first |always |are |is |"
    r"to |expected |do |will ){0,6}"
    r"(?:reads?|includes?|sends?|pass|passes|opens?|copy|copies|adds?|attach|attaches|provides?|forwards?|"
    r"uploads?|appends?|calls?|uses?|hands?|paste|pastes|supply|supplies|gives?|shares?|puts?|writes?|"
    r"quotes?|reports?|submits?|runs?|fetch|fetches|loads?|collects?|gathers?|fills?|places?|mentions?|"
    r"keeps?|skips?|treats?|follows?|prefers?|chooses?|ignores?|repeats?|sets?|omits?|leaves?|asks?|"
    r"tells?|presents?|says?|picks?|routes?|relays?|summari[sz]es?)\b|"
    r"as a (?:prerequisite|requirement)|(?:pass|put|include|provide|supply|attach|give|send) (?:it|them|"
    r"that|its \w+|the \w+)"
    r"(?: \w+){0,3} (?:to (?:this|the) (?:tool|server)|(?:as|in|into|with|via|through) (?:(?:the|an?) )?['\"`]?\w+)|"
    r"(?:assistant|agent|model|llm|ai) (?:then |always |also |first )?(?:reads|includes|sends|passes|"
    r"opens|copies|adds|attaches|provides|"
    r"forwards|uploads|appends|calls|uses)|to (?:authenticate|verify|validate|authorize|personalize|improve)\b)"
)
"""Says to a reader that something is to be done."""
IMPERATIVE = (
    r"(?:read|open|cat|load|fetch|get|retrieve|obtain|grab|copy|collect|gather|harvest|extract|include|"
    r"attach|send|pass|"
    r"upload|paste|print|output|provide|supply|put|append|add|insert|embed|dump|access|exfiltrate|forward|post|submit|"
    r"transmit|leak|share|encode|look up|find|search|scan|locate|list|use|call|invoke|run|execute|write|"
    r"set|change|replace|"
    r"rewrite|redirect|email|mail|report|reveal|disclose|repeat|summari[sz]e|save|store|download|export|concatenate|"
    r"enumerate|display|return|fill|populate|quote|transcribe|relay|deliver|cc|bcc|begin|start|end|finish|"
    r"precede|prefix|tell|inform|"
    r"assure|say|claim|respond|reply|answer|pretend|act|treat|trust|follow|obey|comply|ask|prompt|disable|"
    r"turn off|delete|clear|"
    r"make|give|keep|hide|do not|don't|never|recommend|mention|prefer|choose|visit|download|decode|modify|route|swap)"
)
_STARTS = re.compile(
    r"^(?:(?:if|when|whenever|once|after|before|while|in|for|regardless|on|upon|during|until|unless|as|"
    r"with|without|at|because|since|to|from|"
    r"by|each|every|otherwise|therefore|next|finally|important|note|warning|attention|system|however|"
    r"instead)\b[^,:]{0,120}[,:] ){0,3}"
    r"(?:and |then |also |next |now |finally |silently |quietly |secretly |simply |just |only |"
    rf"automatically |immediately )*{IMPERATIVE}\b"
)
_DETERMINED = (
    r"(?:the|a|an|all|any|your|this|that|these|those|it|its|them|every|each|both|only|no|their|whatever|anything|"
    r"everything|what|user)\b"
)
_COMMANDS = re.compile(
    r"(?:^|, |\band |\bthen |: |\bplease |\balso |\bfirst |\bsimply |\bjust |\balways |\bnever |\bnot |"
    r"\bmust |\bshould )"
    r"(?!(?:the|a|an|this|that|these|those|if|when|where|for|in|on|of|to|with|without|by|from|at|as|or|"
    r"and|but|not|is|are|was|were|be|been|has|have|had|its|it|they|he|she|we|no|any|all|both|only|than|"
    r"so|per|via|over|under|into|onto|about|after|before|because|while|since|during|until|unless|which|"
    r"who|what|how|why|whether|plus|like|such|given|than|optional|either|neither|"
    r"can|could|may|might|will|would|do|does|did|then|there|here|out|up|also|first)\b)[a-z]{2,14}(?<!ing)"
    r"(?<!ed)(?<!ly)(?:(?<!s)|(?<=ss)) (?:\w+ )?" + _DETERMINED
)
"""Any verb in its base form in front of what it is about: `hand the key over`, but not `hands the key over`."""
_DENIAL = re.compile(
    r"\b(?:not|never|n't|no|nor|neither|without|cannot|avoid|refrain from|refus\w+|reject\w*|rather than|"
    r"instead of|prevents?|prevented|blocks?|blocked|forbid\w*|prohibit\w*|exclud\w+|skips?|denies|denied|ignores|"
    r"redact\w*|strip\w*|removes?|mask\w*|nothing|none|detects?|flags?|protects?|disallow\w*)\b|n't\b"
)
_EMPTY_DENIAL = re.compile(
    r"\W*(?:\w+ ){0,2}(?:forget|fail|skip|omit|neglect|hesitate|proceed|continue|start|finish|answer|respond|use|call|"
    r"invoke|run|execute|work|function|complete|succeed|tell|telling|mention\w*|inform\w*|notify\w*|reveal\w*|ask\w*|"
    r"optional|only|just|matter|be able|return|operate|need|exceptions?|bother|worry|wait\w*|explain\w*|say|saying|"
    r"doubt|longer|later|more|less|problem|confirm\w*|show\w*|alert\w*|warn\w*|disclos\w+|stop)\b"
)
_TURN = re.compile(
    r"\b(?:but|so|instead|however|therefore|except|until|unless|always|please|you must|you should|you need|just|simply|"
    r"first|rather(?! than)|otherwise)\b|[:]| - "
)
_WANTED = re.compile(
    r"\b(?:expects?|expected|takes|accepts|wants?|needs?|needed|requires?|required|requested|belongs?|"
    r"goes|go in|carries|carry|holds|contains?|works best with|best results|improves?|"
    r"helps?|welcome|appreciated|should|must|to be (?:given|passed|sent|supplied|provided|included|added|"
    r"attached)|is (?:given|passed|sent|supplied|provided|included|added|attached|used|read|taken)|"
    r"are (?:given|passed|sent|supplied|provided|included|added|attached|used|read|taken)|together with|"
    r"along with|alongside|accompanied|comes? with|begins? with|starts? with|preceded by|followed by|"
    r"paired with|complete (?:once|when|only|with)|counts? as|"
    r"works? (?:only|best|once|after|when|if)|once|only (?:after|when|if|once|with)|usually|typically|"
    r"normally|by default|as usual|ready (?:once|when|after)|depends on|relies on|answered (?:once|when|"
    r"after|only)|helpful|useful|ideally|preferably|recommended|"
    r"gets?|is to|are to|remains?|stays?|rejected unless|fails? (?:without|unless)|only with)\b"
)
_MENTION = re.compile(
    r"\b(?:detect\w*|flag\w*|scan\w*|block\w*|refus\w+|reject\w*|identif\w+|classif\w+|warn\w*|filter\w*|redact\w*|"
    r"prevent\w*|protect\w*|recogni[sz]\w+|catch\w*|(?<!recovery )(?<!seed )phrases?|"
    r"patterns?|attacks?|attempts?|injections?|"
    r"malicious|suspicious|"
    r"teach\w*|explain\w*|stud(?:y|ies)|lints?|audit\w*|search(?:es)? for|looks? for|report\w* (?:on|"
    r"whether|if|when)|checks? (?:for|whether|if)|such as)\b"
)
_INSTANCE = re.compile(r"\b(?:for instance|for example|eg|written by|contains?|quot\w+) ")


class Said(NamedTuple):
    """One sentence, folded."""

    text: str
    purpose: bool
    """It is the first sentence of what names a purpose: an imperative there is what the tool does itself."""
    addressed: bool
    role: Role

    orders: bool
    """The reader is told to do something."""
    asks: bool
    """The reader is told, or led, to do something: something is expected, taken, needed."""

    def denied(self, at: int) -> bool:
        """Whether what stands at `at` is said not to be done, or is not to be done."""
        for found in _DENIAL.finditer(self.text, 0, at):
            other = _EMPTY_DENIAL.match(self.text, found.end())
            # What is denied is another verb: `do not forget to read`. In `never ask for it` it is this one.
            if (other is not None and other.end() <= at) or _TURN.search(self.text, found.end(), at):
                continue
            if not self._over(found[0], found.end(), at):
                return True
        return False

    def _over(self, word: str, begin: int, at: int) -> bool:
        """Whether a denial has ended at a comma. A list goes on to its `or`."""
        comma = self.text.find(",", begin, at)
        if comma < 0:
            return False
        return word == "without" or not re.search(r"\b(?:or|nor)\b", self.text[comma : at + 60])

    def mentioned(self, begin: int, end: int) -> bool:
        """Whether the words are named, as what something looks for, and not said."""
        quoted = self.text[:begin].rstrip("( ")[-1:] in ('"', "'", "`") or self.text[end:].lstrip(" .!")[:1] in (
            '"',
            "'",
            "`",
        )
        if quoted and _INSTANCE.search(self.text, 0, begin):
            return True
        about = _MENTION.search(self.text, 0, begin)
        if about is None:
            return False
        return quoted or not re.search(
            r"\band\b|\bthen\b|:| - |, (?:you|please|always)", self.text[about.end() : begin]
        )

    def meant(self, found: "re.Match[str]") -> bool:
        """Neither denied nor mentioned."""
        return not self.denied(found.start()) and not self.mentioned(found.start(), found.end())


def any_of(*lines: str) -> "re.Pattern[str]":
    """Any of these words, whole."""
    return re.compile(r"(?<![\w-])(?:" + "|".join(lines) + r")(?![\w-])")


def meant_in(said: Said, words: "re.Pattern[str]") -> "re.Match[str] | None":
    """The first of the words that is meant: neither denied nor mentioned."""
    return next((found for found in words.finditer(said.text) if said.meant(found)), None)


def stands_in(said: Said, words: "re.Pattern[str]") -> bool:
    """Whether words stand there and are not merely mentioned; they may be a denial themselves."""
    return any(not said.mentioned(found.start(), found.end()) for found in words.finditer(said.text))


def fold(text: str) -> str:
    """What a model reads in it: compatibility forms made plain, look-alikes made Latin, the unseen dropped."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKC", text).translate(_LOOKALIKES)
    return "".join(char for char in plain if char in "\n\r\t" or not is_unseen(char))


def sentences(text: str, role: Role) -> Iterator[Said]:
    """The sentences of a text; one that is too long comes in pieces that overlap."""
    folded = _WRAP.sub(
        " ", _ABBREVIATIONS.sub(lambda found: found[1].replace(".", ""), fold(text).replace("...", "\u2026"))
    )
    purpose = role == "lead"
    for raw in _STOP.split(folded):
        plain = _BULLET.sub("", " ".join(raw.lower().split()), count=1)
        for piece in _pieces(plain):
            yield _said(piece, purpose, role)
            purpose = False


def _said(text: str, purpose: bool, role: Role) -> Said:
    addressed = ADDRESSED.search(text) is not None
    told = not purpose and role != "parameter" and (_STARTS.match(text) or _COMMANDS.search(text)) is not None
    led = not purpose and _WANTED.search(text) is not None
    return Said(text, purpose, addressed, role, orders=addressed or told, asks=addressed or told or led)


def _pieces(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        yield text[at : at + MAX_SENTENCE_CHARS]
        at += MAX_SENTENCE_CHARS if at + MAX_SENTENCE_CHARS >= len(text) else MAX_SENTENCE_CHARS - _OVERLAP
