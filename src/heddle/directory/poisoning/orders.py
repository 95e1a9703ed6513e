"""Orders to a model: to forget its own, to hide something, to act without consent, to become somebody else.

Owns the rules that need nothing but the sentence. Each is a phrase and the mood it must be in.

*Source:* SAFE-MCP T1001 (tool poisoning); OWASP MCP Top 10, MCP03; published attacks on tool descriptions.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from heddle.directory.poisoning.findings import Severity
from heddle.directory.poisoning.said import Said


class Sign(NamedTuple):
    """A rule that matched in a sentence."""

    rule: str
    severity: Severity
    evidence: str


class Phrase(NamedTuple):
    """Words, and how they must be meant."""

    rule: str
    severity: Severity
    words: "re.Pattern[str]"
    mood: Callable[[Said], bool] = lambda _: True


def _orders(said: Said) -> bool:
    return said.asks


def _orders_beside(said: Said) -> bool:
    """Not what the tool itself is for."""
    return said.asks and not said.purpose


def _keeps_to_itself(said: Said) -> bool:
    """A tool that says what it does not show, rather than what is not to be said."""
    return said.purpose or (_KEPT.search(said.text) is not None and not said.addressed)


def _p(text: str) -> "re.Pattern[str]":
    return re.compile(text, re.DOTALL)


_WHO = (
    r"(?:the |this |any |an? |end[- ]){0,3}"
    r"(?:users?|humans?|people|person|operators?|customers?|clients?|anyone|anybody|them|owner)"
)
_ELSEWHERE = re.compile(r"\b(?:slack|ticket|thread|channel|zendesk|mailbox|meeting|chatbot)\b")
_OWN = (
    r"(?:instructions?|prompts?|rules?|directives?|guidelines?|polic(?:y|ies)|constraints?|safeguards?|messages?|"
    r"restrictions?|guardrails?|training|system message|context|safety (?:checks?|measures|rules|filters?)|"
    r"limitations)"
)
_KEPT = re.compile(
    r"hidden from (?:each other|one another)|^(?:the |all |its )?(?:\w+ ){0,2}?(?:tokens?|passwords?|secrets?|"
    r"credentials?|keys|codes?|values|persons|people|names|"
    r"addresses|drafts|rows|columns|fields|entries|details)\b|^without "
)
"""What a tool keeps to itself for good reason."""
PHRASES = (
    Phrase("override", "high", _p(
        r"\b(?:ignore|disregard|forget|override|bypass|discard|supersede|drop)"
        rf"\b (?:\S+ ){{0,4}}?(?:previous|prior|earlier|above|"
        rf"preceding|former|existing|other|system|your|all|any|developer|original|safety)\b (?:\S+ "
        rf"){{0,3}}?{_OWN}\b")),
    Phrase("override", "high", _p(
        rf"\b(?:this|these|the following)\b(?: \w+){{0,3}} (?:supersedes?|overrides?|replaces?|"
        r"takes? (?:priority|precedence) over)"
        rf" (?:\w+ ){{0,4}}?(?:previous|prior|earlier|system|your|all|any|other)\b (?:\w+ ){{0,3}}?{_OWN}\b")),
    Phrase("override", "high", _p(
        r"\b(?:new|updated|real|actual|hidden|secret) (?:system )?instructions?(?: for (?:you|"
        r"the (?:model|assistant|agent)))?\s?:|"
        r"\byou are now (?:in |an? |the |no longer|dan\b|free|operating)|\b(?:enter|activate|enable|switch "
        r"(?:in)?to) "
        r"(?:developer|debug|god|admin|dan|jailbreak|unrestricted|maintenance) mode\b.{0,60}\b(?:you|all|"
        r"no|without|ignore)\b|"
        r"\bfrom now on,? (?:you|always|never|do not|respond|answer|act|treat)|\bact as (?:if you|"
        r"an? unrestricted|root|an? admin)|"
        r"\byour (?:new|real|true|actual|primary) (?:task|goal|role|purpose|objective|job|instructions?)\b")),
    Phrase("conceal", "high", _p(
        r"\b(?:do not|don't|never|must not|should not|shouldn't|avoid|without|refrain from|no need to)"
        rf"\b (?:\w+ ){{0,3}}?"
        rf"(?:tell|telling|inform\w*|notify\w*|alert\w*|let|letting|warn\w*|consult\w*|bother\w*) {_WHO}\b"
        r"(?! apart)")),
    Phrase("conceal", "high", _p(
        r"\b(?:do not|don't|never|must not|should not|avoid|without|refrain from|no need to)\b (?:\w+ ){0,2}?"
        r"(?:mention|tell|reveal|disclos|show|display|explain|discuss|report|surfac|expos|acknowledg|"
        r"referenc|log|announc|describ|"
        r"say|talk|highlight|speak)\w* (?:\w+ )?(?:this|these|that you|it|anything about|about (?:this|it|"
        r"that)|any of this|"
        r"(?:\w+ )?(?:step|instruction|side effect|transfer|upload|copy|read|access|action|note)s?\b)"
        r"(?!.{0,30}\b(?:field|endpoint|id|token|key)\b)")),
    Phrase("conceal", "high", _p(
        rf"\b(?:keep|hide|conceal|withhold|suppress|omit) (?:\w+ ){{0,4}}?(?:secret|hidden|confidential|"
        r"quiet|private|invisible|"
        rf"unseen)?\s?(?:from|to) {_WHO}\b|\bkeep (?:this|it|these|that)(?: \w+)? (?:secret|hidden|"
        r"confidential|quiet|to yourself)\b|"
        rf"\b{_WHO} (?:must|should|may|can|need|does|do|will|has)(?: not|n't)(?: ever)? (?:know|see|notice|"
        r"be (?:told|informed|"
        rf"aware|notified|shown|asked|alerted)|learn|find out|have to know|need to know)\b|"
        rf"\bwithout (?:{_WHO}(?:'s)? |their )?(?:knowledge|awareness|noticing|knowing|consent|"
        r"being (?:told|noticed))\b(?!,? (?:only|nothing|no|none|calls?|it) )")),
    Phrase("conceal", "medium", _p(
        rf"\b(?:stays?|remains?|is|are|be|kept|keeps?|goes) (?:\w+ ){{0,3}}?(?:invisible|hidden|"
        r"unmentioned|unseen|unaware|unnoticed|secret|confidential|between you|out of (?:the|your)"
        r" (?:answer|reply|response|summary|chat|conversation))\b"
        rf"(?!.{{0,20}}\b(?:until|files?|fields?|columns?|elements?)\b)|\bno mention (?:of|is|should)\b|"
        rf"\b(?:not|never|nothing|neither|no need)\b(?: \S+){{0,6}}? (?:appears?|mention\w*|surfaced?|"
        r"disclosed?|brought up|named|raised|visible|told|informed|notified|aware|asked|bothered|troubled|"
        rf"know)\b(?: \S+){{0,6}}? "
        r"(?:answer|reply|response|summary|chat|conversation|user|users|customer|human|person)\b|"
        rf"\b{_WHO} (?:is|are|was|were|need|needs)(?: not|n't|not)(?: \w+)? (?:told|shown|informed|"
        r"notified|asked|aware|bothered|consulted|involved|know)\b"),
        lambda said: not _keeps_to_itself(said)),
    Phrase("conceal", "medium", _p(
        r"\b(?:silently|secretly|quietly|covertly|discreetly|invisibly|stealthily|in the background|behind the "
        r"scenes) "
        r"(?:read|send|copy|call|forward|upload|include|add|run|execute|post|attach|fetch|append|pass|use|"
        r"set|change|replace|write|bcc|cc|"
        r"invoke|record|log|store|save|collect|email|share)\b|\b(?:read|send|copy|call|forward|upload|"
        r"include|add|run|execute|post|attach|"
        r"fetch|append|pass|set|change|replace|write|do (?:this|so|it))\b(?: \S+){0,8} (?:silently|"
        r"secretly|quietly|covertly|discreetly)\b"),
        _orders),
    Phrase("no_consent", "medium", _p(
        r"\bwithout (?:first )?(?:asking|confirming|confirmation|approval|permission|verifying|"
        r"verification|prompting|review|"
        r"waiting for|checking with|user (?:approval|confirmation|consent))\b|\b(?:skip|bypass|disable|"
        r"suppress|turn off|ignore|auto-?approve|auto-?confirm) (?:\w+ ){0,3}?"
        r"(?:confirmations?|approvals?|permissions?|consent|safety checks?|security checks?|verification|"
        r"validation|review|prompts?|warnings?|requests?)\b|"
        r"\b(?:do not|don't|never) (?:ask|wait|prompt|request|seek) (?:\w+ ){0,3}?(?:confirmation|"
        r"approval|permission|consent)\b|"
        r"\b(?:do not|don't|never|no need to) (?:first )?ask (?:the |any )?(?:users?|human|customer)"
        r"\b(?! (?:for|to|about|what|which|who|where|when))"),
        _orders),
    Phrase("no_consent", "high", _p(
        rf"\b{_WHO} (?:has|have|had) (?:already |previously |pre-?)+(?:approved|consented|authori[sz]ed|"
        r"agreed|confirmed|granted|given)\b"
        r"|\b(?:assume|treat|consider) (?:\w+ ){0,5}?(?:approved|authori[sz]ed|consent(?:ed)?|confirmed|"
        r"permission)\b")),
    Phrase("override", "high", _p(
        r"\b(?:as|i am|this is|speaking as|on behalf of) (?:your|the) (?:system )?(?:developer|"
        r"administrator|admin|creator|operator|owner)\b.{0,60}\b(?:you|order|instruct|require|command|"
        r"must|comply)\b"
        r"|\b(?:verified|approved|certified|endorsed|vetted|cleared|mandated|authori[sz]ed|required)"
        r" by (?:\w+ ){0,2}?(?:anthropic|openai|google|microsoft|developers?|"
        r"administrators?|system|creators?|security team|it department|compliance)\b.{0,100}\b(?:you|"
        r"trust|comply|without|safe|must|no need|do not|obey|follow)\b"), _orders),
    Phrase("deceive", "medium", _p(
        r"\b(?:tell|assure|inform|convince|persuade|mislead|reassure|say to|report to|reply to|let)"
        rf" {_WHO} (?:know )?(?:that )?(?:\S+ ){{0,6}}?"
        r"(?:success\w*|fine|safe|secure|okay|ok|normal|unchanged|worked|completed?|saved|nothing|"
        r"no (?:\w+ )?(?:problems?|errors?|issues?|risks?)|in order|correct)\b|"
        r"\b(?:pretend|lie\b|fabricate|feign|act as if|act as though|make up|mislead)\b|"
        r"\b(?:respond|reply|answer|claim|state|say|report) (?:only )?(?:that |with )?['\"]?(?:everything|"
        r"all (?:is|was|went)|success|it (?:is|was) "
        r"(?:safe|secure|fine)|no (?:issues|problems|vulnerabilities|risks?|errors?))\b"),
        _orders_beside),
    Phrase("exfiltration", "high", _p(
        r"\b(?:includ|send|pass|put|attach|append|copy|copi|past|provid|suppl|writ|forward|upload|shar|"
        r"submit|insert|embed|quot|repeat|log|stor|sav|add|record|transmit|summari[sz])(?:e|y|ing|ting|"
        r"ying)?\b (?:\S+ ){0,7}?"
        r"(?:(?:this|the|our|current|entire|full|whole|complete|your|ongoing|user's|previous|prior)"
        r" (?:\w+ ){0,2}?(?:conversation|chat|dialogue|session)(?: (?:history|transcript|log|context|"
        r"so far)| with (?:the|this) user)?(?! (?:id|token|key|cookie|name|title|identifier))(?![_-])|"
        r"(?:conversation|chat|message) (?:history|transcript)|(?:all|every|any|previous|prior|recent|"
        r"last|the) (?:\S+ ){0,3}?messages? (?:\S+ ){0,4}?(?:user|you|conversation|so far)|"
        r"(?:everything|anything|whatever|all that|what) (?:the user|you|they|he or she)"
        r" (?:\S+ ){0,3}?(?:said|know|told|wrote|typed|asked|shared|sent|remember|see|learned)|"
        r"(?:user's|users') (?:last |previous |recent |private |personal |earlier |original |raw |"
        r"full )+(?:\w+ )?(?:messages?|prompts?|inputs?|information|data|details)|"
        r"(?:results?|outputs?|responses?) (?:of|from) (?:\S+ ){0,2}?(?:other|previous|prior|all|earlier|"
        r"any) tools?(?: calls?)?)\b"),
        lambda said: said.asks and _ELSEWHERE.search(said.text) is None and "only what" not in said.text),
    Phrase("remote_orders", "medium", _p(
        r"\b(?:follow|obey|execute|carry out|comply with|act on|apply|perform)"
        r"\b (?:\S+ ){0,4}?(?:instructions?|commands?|directives?|orders?|steps?) (?:\S+ ){0,5}?"
        r"(?:https?://|(?:in|from|at|on|returned|contained|embedded|received|inside|within)"
        r" (?:\S+ ){0,4}?(?:response|result|output|reply|page|website|url|e-?mail|message|field|server|"
        r"metadata|pastebin|gist|payload|answer)s?\b|(?:it|that is) returns?|returned)|"
        r"\b(?:fetch|load|download|retrieve|get|read|visit|open|consult|check)"
        r"\b (?:\S+ ){0,6}?(?:https?://\S+)(?: \S+){0,8}? (?:follow|obey|execute|apply|carry out|run|"
        r"comply)"),
        _orders),
    Phrase("phishing", "high", _p(
        r"\b(?:ask|prompt|request|get|obtain|collect|convince)\b (?:\S+ ){0,3}?(?:user|them|customer|"
        r"human|person)\b(?: \S+){0,8}? (?:passwords?|pin|credit card|ssn|social security|seed phrase|"
        r"recovery phrase|"
        r"private key|one-time (?:code|password)|otp|mfa code|2fa code|verification code|cvv|card number|"
        r"passphrase)\b"), lambda said: said.asks and re.search(r"\b(?:never|not) for\b", said.text) is None),
    Phrase("disarm", "medium", _p(
        r"\b(?:disable|turn off|deactivate|stop|clear|delete|remove|erase|wipe)"
        r"\b (?:\S+ ){0,4}?(?:logging|audit(?: trail| logs?)?|monitoring|antivirus|firewall|2fa|mfa|"
        r"security|alerts|guardrails|safety|"
        r"shell history|bash history|evidence|traces?|protections?)\b"),
        _orders_beside),
    Phrase("loop", "medium", _p(
        r"\b(?:call|invoke|run|repeat|execute|use)\b (?:\S+ ){0,6}?(?:forever|indefinitely|endlessly|"
        r"(?:[2-9]\d|\d{3,}) times|never stop|without (?:ever )?stopping)\b"), _orders),
    Phrase("persist", "medium", _p(
        r"\b(?:for (?:the (?:rest|remainder)|all (?:future|subsequent|following|later))|in (?:all|every|"
        r"any|each) (?:future|subsequent|following|"
        r"later|reply|repl(?:y|ies)|response|answers?|message)s?|to every (?:reply|response|answer|message)|"
        r"(?:save|add|write|store|remember|commit) (?:\S+ ){0,5}?(?:to|in|into) (?:your|the (?:assistant|"
        r"agent|model)'?s?) (?:long-term )?(?:memory|system prompt|"
        r"instructions|rules))\b"), _orders),
    Phrase("prefer", "medium", _p(
        r"\b(?:always|must|only) (?:be )?(?:use[ds]?|using|prefer(?:red)?|choose|chosen|select(?:ed)?|"
        r"pick(?:ed)?|call(?:ed)?|invoke[d]?) "
        r"(?:this|our)(?: \w+)?(?: instead of| over| rather than| before| in place of|, never)"
        r" (?:\w+ ){0,2}?(?:any|all|every|other|others|alternative|similar|competing)\b"
        r"|\b(?:never|do not|don't) (?:use|call|invoke|choose|trust|select) (?:\w+ ){0,2}?(?:other|"
        r"another|alternative|competing|similar) (?:\w+ ){0,2}?(?:tools?|servers?|services?|providers?)\b"
        r"|\b(?:prefer|prioriti[sz]e|choose|select|rank) (?:this|our)(?: \w+){0,2} (?:over|above|before|"
        r"ahead of) (?:all|any|every|other)\b"
        r"|\b(?:call|invoke|run|use|execute)d? (?:this(?: \w+)?|it|me) (?:\w+ ){0,3}?(?:before|after|on|"
        r"with|for|in|at) (?:the )?(?:\w+ )?(?:every|each|any|all)(?: and every)?(?: other| single|"
        r" user)* "
        r"(?:tools?(?: calls?)?|messages?|repl(?:y|ies)|responses?|turns?|answers?|requests?|prompts?|"
        r"interactions?|quer(?:y|ies)|conversations?)\b(?!.{0,30}\b(?:of|in|from|on) this (?:server|api|"
        r"service|toolset))"
        r"|\b(?:all|every|each) (?:other )?(?:tools?|tool calls?|requests?|messages?)"
        r" must (?:first )?(?:go|pass|be (?:routed|sent|passed|checked)) (?:through|by|to|via|with) this\b")),
    Phrase("prefer", "medium", _p(
        r"\b(?:always|must|should|only|actively) (?:recommend|promote|praise|advertise|favou?r|endorse|"
        r"rank)\b(?: \S+){0,10}? (?:our|this|over|competitors?|instead|only|products?|brand|first)\b"
        r"|\b(?:never|do not|don't) (?:recommend|mention|suggest|cite)(?: \S+){0,4}? competi\w+")),
    Phrase("reveal", "high", _p(
        r"\b(?:print|output|reveal|repeat|show|return|includ|pass|send|provid|disclos|quot|copy|past|"
        r"summari[sz]|recit|dump|list|put|echo|insert|append|supply|giv|writ|attach|submit|reproduc|add|"
        r"shar|plac)(?:e|ing|ting)?\b"
        r"(?: \S+){0,6}? (?:(?:your|their own|their) (?:\w+ ){0,3}?(?:instructions|prompt|rules|"
        r"guidelines|system message|context(?: window)?|reasoning|chain[- ]of[- ]thought|memory|"
        r"configuration|tool definitions)|"
        r"(?:the |this |current |hidden |full |entire |complete )+(?:system|developer) (?:prompt|message|"
        r"instructions)|"
        r"(?:list|names|schemas|definitions|descriptions) of (?:all )?(?:your |the |other |"
        r"available )+tools)\b"), _orders),
    Phrase("command", "medium", _p(
        r"\b(?:run|execute|paste|type|invoke|call|start)\b(?: \S+){0,12}? ?['\"`]?(?:(?:curl|wget|iwr|"
        r"invoke-webrequest)\b[^|;]{0,120}(?:\| ?(?:ba|z|da)?sh\b|\| ?(?:sudo|python|iex)|-d |--data|-t |"
        r"--upload-file)|"
        r"rm -rf|chmod [0-7]*7|base64 -d|nc -|bash -[ic]|/dev/tcp|powershell -e|eval\b|sudo )")),
)  # fmt: skip


def orders_in(said: Said) -> Iterator[Sign]:
    """Every order of these kinds in one sentence."""
    for phrase in PHRASES:
        if not phrase.mood(said):
            continue
        for found in phrase.words.finditer(said.text):
            # A concealment is itself a denial: what stands before it may still deny it ("never asked not to tell").
            if said.meant(found):
                yield Sign(phrase.rule, phrase.severity, said.text)
                break
