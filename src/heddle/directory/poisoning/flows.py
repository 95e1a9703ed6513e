"""What is made to flow, and who is made to rule: signs that are told by what a sentence brings together.

Owns the rules that name two things instead of a phrase. What a model holds (the conversation, its instructions, what it
knows of the user) and a place to put it: `model_held`. An authority and a demand for what no honest tool needs:
`authority`. Higher rights, to be taken: `escalation`. A tool before all others: `preference`. Texts of tomorrow, to be
followed today: `remote_orders`. Commands to run beside the call: `command`. Answers, to be shaped: `directs_reply`.

*Source:* the attack classes of SAFE-MCP (T1001, T1201, T1301, T1501) and OWASP MCP Top 10; wording is nobody's.
"""

import re
from collections.abc import Iterator

from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.parameters import SUBJECT
from heddle.directory.poisoning.said import Said

_HELD = re.compile(
    r"\b(?:(?:this|the|our|current|entire|full|whole|complete|ongoing|your|user's|preceding|earlier|"
    r"previous|prior|recent) "
    r"(?:\w+ ){0,2}?(?:conversation|chat|dialogue|discussion|exchange|transcript|context window|prompts?|"
    r"turns?|messages|history)"
    r"(?! (?:id|token|key|name|title|identifier|type|format|number|size|length|limit))(?![_-])|"
    r"(?:conversation|chat|message|dialogue|prompt) (?:history|transcript|log|context|so far)|"
    r"conversation (?:up to|until|so far)|"
    r"(?:system|developer) (?:prompt|message|instructions)|your (?:own )?(?:\w+ )?(?:instructions|prompt|"
    r"reasoning|memory|context|thoughts|knowledge|configuration|system)|"
    r"(?:everything|anything|all|whatever|what|details|facts|information|data|context)"
    r" (?:\S+ ){0,4}?(?:(?:about|of|from) the (?:user|conversation|session|chat)|you (?:know|have|"
    r"remember|learned|saw|see|hold)|the user "
    r"(?:said|has|wrote|typed|asked|told|mentioned|shared|sent|discussed))|the user's (?:exact |original |"
    r"verbatim |last |latest |previous |full |own |private |personal |earlier )+\w+|"
    r"(?:user's|their) (?:full name|home address|phone number|e-?mail address|employer|location|salary|"
    r"medical|health|financial|personal)|"
    r"(?:other|previous|earlier|prior|all) tools?(?:'s?|s')? (?:results?|outputs?|responses?|calls?|"
    r"arguments?|answers?)|"
    r"(?:results?|outputs?|responses?|arguments?|answers?) (?:of|from|returned by|given to|passed to)"
    r" (?:\S+ ){0,2}?(?:other|previous|earlier|prior|all|any|every) (?:\w+ )?(?:tools?|calls?)|"
    r"tools? (?:you (?:have|can)|available to you|in your))\b"
)
_TALK = re.compile(
    r"\b(?:conversations?|dialog(?:ue)?s?|chats?|discussions?|exchanges?|transcripts?|turns?|prompts?|"
    r"sessions?|context|messages?|interactions?|questions?|requests?|thinking|reasoning|scratchpad|plans?|"
    r"instructions?|memory|memories|wording|words|background|notes)\b(?! (?:id|token|key|name|title|type|"
    r"format|number|size|length|limit|count))(?![_-])"
)
_HERE = re.compile(
    r"\b(?:this (?:conversation|chat|dialog\w*|discussion|exchange|session|interaction|call was|"
    r"request was|turn)|so far|up to (?:now|this|here)|until now|led (?:up )?to|leading (?:up )?to|"
    r"precede[sd]?|preceding|surrounding|our|"
    r"your (?!api|account|own|name|email|query|search|browser|app|project|server|team)\w+|you (?:have|"
    r"were|are|know|saw|see|remember|received|hold|used)|ongoing|(?:been|was|were) (?:said|discussed|"
    r"talked|asked|told|shared|exchanged)|who is asking|"
    r"the user (?:said|has|wrote|typed|asked|told|mentioned|shared|sent|discussed|wants|is)|"
    r"user's (?:\w+ )?(?:words|wording|prompt|messages?|request|question)s?|assistant's|model's|agent's|"
    r"with the user|verbatim|word for word|with the (?:assistant|model|human))\b"
)
_PASS = re.compile(
    r"\b(?:pass|includ|suppl|provid|attach|add|put|fill|set|populat|send|forward|giv|cop|past|embed|"
    r"append|quot|mirror|echo|relay|submit|"
    r"hand|shar|carr|contain|hold|plac|insert|writ|stor|record|log|sav|summari[sz]|transmit|upload|repeat|"
    r"paraphras|restat|dump|serializ|"
    r"encod|report|post|return|prepend|captur|enter|list|describ|reproduc|output|print|deliver|transfer|"
    r"sync|prefix|concatenat|load|bundl|feed|"
    r"expects?|takes?|accepts?|requires?|needs?)(?:e|y|ing|ed|ies|ied|t|ting|ping|s|es)?\b"
)
_ELSEWHERE = re.compile(
    r"\b(?:slack|teams channel|ticket|tickets|thread|threads|channel|zendesk|mailbox|meeting|chatbot|"
    r"email thread|commit|git|phone call|support case|file|record|document|page|order|article|issue)\b"
)
_MOST = re.compile(
    r"\b(?:full|entire|whole|complete|all|every|everything|verbatim|word for word|so far|unabridged|raw|exact|"
    r"untruncated|original|as much|whatever|your|about the user|the user (?:said|has|wrote|asked|told|"
    r"mentioned|shared))\b"
)
_AUTHORITY = re.compile(
    r"\b(?:anthropic|openai|microsoft|google|vendor|developers?|administrators?|admins?|security team|"
    r"it (?:team|department|security)|compliance|legal|management|"
    r"ceo|ciso|company|corporate|organi[sz]ation(?:al)?|polic(?:y|ies)|regulations?|regulatory|gdpr|hipaa|"
    r"sox|pci|audit(?:ors?)?|governance|platform|host application|protocol|specification|operator|law|"
    r"standard|mandate)\b"
)
_DEMAND = re.compile(
    r"\b(?:requir\w+|mandat\w+|demand\w*|instruct\w*|order(?:s|ed)|oblig\w+|per|according to|"
    r"in accordance with|in line with|under|approved|authori[sz]ed|certified|direct(?:s|ed)|polic(?:y|ies)|"
    r"complian\w+|as part of|for)\b"
)
_DATA = re.compile(
    r"\b(?:credentials?|passwords?|api keys?|secrets?|private keys?|(?:access|session|auth\w*|bearer)"
    r" tokens?|conversation|chat|transcript|prompts?|"
    r"system prompt|environment variables?|personal data|identity|ssn|account numbers?|all (?:arguments|"
    r"inputs|outputs|requests|results|tool calls|messages)|user's \w+|"
    r"without (?:asking|confirm\w+|approval|review)|skip\w* (?:\w+ )?(?:confirmation|review|approval)|"
    r"unrestricted|bypass|other tools?)\b"
)
_RIGHTS = re.compile(
    r"\b(?:admin(?:istrator|istrative)?|root|sudo|superuser|elevated|(?:full|unrestricted|unlimited|"
    r"complete) (?:access|control|permissions?|rights|privileges?|scopes?)|"
    r"wildcard|all (?:scopes|permissions|rights)|privileged|owner (?:role|rights|access)|highest|maximum|"
    r"broadest|--no-verify|--force|"
    r"--dangerously\S*|--privileged|--yolo|sandbox|bypass\w*|impersonat\w+|service account|god mode)\b"
)
_TAKE_RIGHTS = re.compile(
    r"\b(?:use|using|run|set|grant|request|assign|switch|pass|escalate|give|add|enable|obtain|execute|"
    r"call|choose|ask for|act|acquire|authenticate|log in|select|"
    r"elevate|promote|disable|leave|exit|escape|start|invoke|re-?run|retry|supply|apply|approve|accept|default to)\b"
)
_LEAST = re.compile(
    r"\b(?:no way to|least|only if|only when|minimum|minimal|lowest|read-only|never|avoid|not recommended|"
    r"ask (?:the user|your admin)|contact|your administrator)\b"
)
_FIRST = re.compile(
    r"\b(?:prefer(?:red|able|ence)?|priorit\w+|always (?:use|choose|pick|select|call|go|try|route|rely)|"
    r"only (?:\w+ ){0,2}?(?:tool|source|reliable|trusted|authoritative|approved|supported|"
    r"correct|valid|safe)|instead of|rather than|first choice|default choice|never (?:use|call|choose|"
    r"rely|trust|fall back)|do not (?:use|call|consider|choose|try|rely|trust|fall back)|don't (?:use|"
    r"call|consider|choose|try)|"
    r"ahead of|in place of|outranks?|supersed\w+|replac\w+|best|superior|exclusively|"
    r"before (?:considering|trying|using|any|all|every)|over|avoid|ignore|skip|"
    r"must (?:always )?(?:be )?(?:used?|call\w*|chosen|route\w*)|takes precedence|"
    r"should (?:always )?be (?:used|chosen|called|tried|preferred)|deprecated|unreliable|inaccurate|"
    r"outdated|less accurate|slower|unsafe|insecure|legacy|kept for compatibility|first|default|"
    r"takes? over|retired|phased out|unnecessary|redundant|not needed|no need|lower quality|worse|"
    r"fallback|last resort|obsolete)\b"
)
_RIVALS = re.compile(
    r"\b(?:any|all|every|other|another|alternative|competing|similar|comparable|built-?in|native|"
    r"remaining|equivalent|rival)\b(?: \w+){0,2} "
    r"(?:tools?|options?|servers?|sources?|alternatives?|functions?|methods?|providers?|connectors?|"
    r"plugins?|integrations?|services?)\b|\b(?:alternatives|competitors|anything else|everything else|"
    r"the others|other ones|others)\b"
)
_LATER = re.compile(
    r"\b(?:treat|trust|accept|approve|follow|obey|apply|adopt|honou?r|execute|perform|carry out|act on|"
    r"comply with|do whatever|use|load|fetch|refresh|re-?read|check)\b(?: \S+){0,6}? "
    r"(?:future|later|subsequent|upcoming|next|new|newer|latest|updated|revised|any|whatever|remote|"
    r"additional|further|current)\b(?: \S+){0,4}? (?:versions?|changes?|updates?|instructions?|"
    r"definitions?|descriptions?|guidance|rules|directives?|steps|behaviou?rs?)\b"
    r"|\b(?:instructions?|directives?|guidance|rules|steps|behaviou?r|description|definition)"
    r"\b(?: \S+){0,6}? (?:may|can|will|might) (?:be )?(?:chang\w+|updat\w+|replac\w+|extend\w*|appear\w*|"
    r"arriv\w+|deliver\w+|sent|provid\w+|follow)\b"
)
_NO_REVIEW = re.compile(
    r"\b(?:without (?:\w+ ){0,2}?(?:review|asking|approval|confirm\w+|prompt\w*|notice|verif\w+)|no (?:new |"
    r"further |additional )?(?:review|approval|confirmation|consent|verification)|do not (?:review|re-?verify|"
    r"compare|question|verify|ask)|"
                        r"already (?:approved|reviewed|trusted)|as (?:trusted|approved|authoritative|"
                        r"instructions|if)|automatically|always|must|take precedence|override)\b")  # fmt: skip
_SHELL = re.compile(
    r"\b(?:shell|terminal|command line|bash|powershell|cmd\.exe|console|subprocess|script)\b|"
    r"[`'\"](?:\$ ?)?(?:npm|npx|pip|curl|wget|git|sh|bash|python3?|node|cat|cp|mv|rm|chmod|sudo|env|printenv|"
    r"whoami|ls|find|grep|tar|scp|ssh|nc|docker|kubectl|brew|apt|uvx|echo|export|source|systemctl|crontab|"
    r"openssl|gpg|security|reg|netsh|iex)\b[^`'\"]{2,}[`'\"]"
)
_RUN = re.compile(r"\b(?:run|execute|invoke|type|launch|start|issue|enter|paste|perform|call)\b")
_BESIDE = re.compile(
    r"\b(?:first|before|prior|beforehand|otherwise|required|must|initially|need to|have to|should|once|"
    r"each time|every time|whenever|always|make sure|ensure|step 1|prerequisite|to (?:initiali[sz]e|prepare|"
    r"activate|warm up|unlock|bootstrap))\b"
)
_REPLY = re.compile(
    r"\b(?:your|the|each|every|any|final|next|all) (?:\w+ ){0,2}?(?:repl(?:y|ies)|responses?|answers?|"
    r"final message|summar(?:y|ies)|message to the user|explanations?)\b|\b(?:tell|say to|inform|reply to|"
    r"answer|assure|respond to|report to|show|advise|urge|warn) (?:the )?users?\b"
)
_AS = re.compile(
    r"\b(?:present|report|describe|label|frame|phrase|characteri[sz]e|attribute|explain|summari[sz]e|pass|"
    r"blame|announce|mark|declare|portray)\b (?:\S+ ){0,6}?(?:off )?(?:as|to|on) (?:an? |the |being |"
    r"having )?(?:\w+ )?"
    r"(?:success\w*|complet\w*|normal|expected|safe|verified|recommended|official|free|required|network|"
    r"temporary|maintenance|routine|harmless|standard|mandatory|unrelated|user's|customer's|outage|delay|"
    r"rounding|tax\w*|fee)\b"
)
_SHAPES = re.compile(
    r"\b(?:regardless|even if|even though|even when|no matter|whether or not|as if|as though|"
    r"instead of the (?:real|actual|true)|whatever the|omit|leave out|exclude|strip|hide|drop|"
    r"skip any mention|never mention|do not mention|don't mention|"
    r"do not (?:include|list|reveal|bring up|refer to|discuss|disclose|raise|surface|volunteer|say|state|"
    r"repeat|cite|show)|must not (?:mention|include|appear|contain|say|reveal)|without mentioning|"
    r"without saying|"
    r"(?:always|must) (?:end|begin|start|include|add|append|contain|mention|recommend|say|state|praise|"
    r"link)|end (?:each|every|your|all)|begin (?:each|every|your|all)|append|claim|pretend)\b"
)


def flows_in(said: Said, subject: frozenset[str]) -> Iterator[Sign]:
    """Every such sign in one sentence. `subject` are the words of the tool's own name."""
    for rule, matches in _RULES:
        if matches(said, subject):
            yield Sign(rule, "medium", said.text)


_LIMITED = re.compile(
    r"^(?:use|call) (?:this|it) when\b|\bonly what\b|\babout this\b|\basked (?:to|you to) (?:keep|remember|store|"
    r"save)\b"
)
"""No more than what the call is about."""
_THINKERS = frozenset(["think", "thinking", "thought", "thoughts", "reason", "reasoning", "reflect"])


def _is_held(said: Said, subject: frozenset[str]) -> bool:
    if _LIMITED.search(said.text) or (subject & _THINKERS and said.role == "parameter"):
        return False
    talk = next((found for found in _TALK.finditer(said.text) if said.meant(found)), None)
    here = _HERE.search(said.text)
    held = next((found for found in _HELD.finditer(said.text) if said.meant(found)), None)
    if (talk is None or here is None) and (held is None or not _MOST.search(said.text)):
        return False
    yours = (
        re.search(r"\b(?:your|so far|our|you|this (?:conversation|chat|session|exchange|discussion))\b", said.text)
        is not None
    )
    own = bool(subject & _TALKERS) or _ELSEWHERE.search(said.text) is not None
    if said.role == "parameter":
        return yours or not (own or SUBJECT.search(said.text))
    if own and not yours:
        return False
    passed = any(said.meant(found) for found in _PASS.finditer(said.text))
    return (
        passed
        and said.asks
        and not said.purpose
        and _MOST.search(said.text + " " + (here[0] if here else "")) is not None
    )


_TALKERS = frozenset(
    [
        "conversation",
        "conversations",
        "chat",
        "chats",
        "transcript",
        "message",
        "messages",
        "prompt",
        "prompts",
        "memory",
        "history",
        "thread",
    ]
)


def _is_authority(said: Said, _: frozenset[str]) -> bool:
    named = _AUTHORITY.search(said.text)
    data = _DATA.search(said.text)
    if named is None or data is None or not _DEMAND.search(said.text):
        return False
    return (
        said.addressed
        and _PASS.search(said.text) is not None
        and said.meant(data)
        and not said.denied(named.start())
        and "your api key" not in said.text
    )


def _is_escalation(said: Said, _: frozenset[str]) -> bool:
    if not said.asks or said.purpose or said.role == "parameter" or _LEAST.search(said.text):
        return False
    return any(
        _TAKE_RIGHTS.search(said.text, 0, found.start()) and said.meant(found) for found in _RIGHTS.finditer(said.text)
    )


def _is_preference(said: Said, _: frozenset[str]) -> bool:
    rivals = _RIVALS.search(said.text)
    first = _FIRST.search(said.text)
    if rivals is None or first is None or said.role == "parameter" or said.mentioned(*rivals.span()):
        return False
    within = re.search(
        r"\b(?:of|in|on|from) this (?:server|api|toolset|service)\b|\bno other\b|\bprefer that\b|"
        r"\bdo not use (?:this|it)\b",
        said.text,
    )
    ours = re.search(r"\b(?:this|it|our|ours|me)\b", said.text)
    return within is None and (ours is not None or said.asks)


def _is_remote(said: Said, _: frozenset[str]) -> bool:
    later = _LATER.search(said.text)
    return (
        later is not None
        and said.meant(later)
        and said.asks
        and not said.purpose
        and _NO_REVIEW.search(said.text) is not None
        and said.role != "parameter"
    )


def _is_command(said: Said, _: frozenset[str]) -> bool:
    if said.purpose or said.role == "parameter" or not said.asks:
        return False
    shell = _SHELL.search(said.text)
    run = next((found for found in _RUN.finditer(said.text) if said.meant(found)), None)
    return (
        shell is not None
        and run is not None
        and abs(run.start() - shell.start()) < 80
        and _BESIDE.search(said.text) is not None
    )


def _is_reply(said: Said, _: frozenset[str]) -> bool:
    if not said.asks or said.purpose or said.role == "parameter":
        return False
    if _AS.search(said.text) is not None:
        return True
    reply, shaped = _REPLY.search(said.text), _SHAPES.search(said.text)
    return reply is not None and shaped is not None and not said.mentioned(*shaped.span())


_RULES = (
    ("model_held", _is_held),
    ("authority", _is_authority),
    ("escalation", _is_escalation),
    ("preference", _is_preference),
    ("remote_orders", _is_remote),
    ("command", _is_command),
    ("directs_reply", _is_reply),
)
