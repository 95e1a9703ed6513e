"""What a sentence is after with people: to keep them out, to go over them, to speak in their name, to mislead them.

Owns the rules `keeps_from_people`, `over_people`, `says_consent` and `distorts`. Each is a pair of word classes that no
statement about a tool's own input and output brings together.

*Source:* SAFE-MCP (T1001, T1501), OWASP MCP Top 10 (MCP03, MCP10); wording is nobody's.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.said import Said, any_of, meant_in, stands_in

PEOPLE = (
    r"(?:the |this |any |your |end[- ]|their |an? |signed-in |account )*"
    r"(?:users?|humans?|persons?|people|customers?|clients?|operators?|owners?|employees?|patients?|"
    r"managers?|authors?|person at the keyboard|reviewers?|caller|they|them|anyone|anybody|somebody|developers?|"
    r"reader|visitor|travell?ers?|guests?|students?|buyers?|participants?|recipients?|attendees?|members?|shoppers?|"
    r"parents?|"
    r"patients?|colleagues?|him|her|whoever asks)"
)

_TELLING = (
    r"(?:tell|telling|told|inform\w*|notif\w+|alert\w*|warn\w*|mention\w*|disclos\w+|reveal\w*|show\w*|announc\w+|"
    r"explain\w*|report\w*|burden\w*|bother\w*|trouble\w*|ask(?:ed|ing)?|consult\w*|surfac\w+|acknowledg\w+|refer\w*|"
    r"bring\w* (?:it |this )?up|raise|discuss\w*|display\w*|admit\w*|point\w* out|let \S+ know|flag\w*|"
    r"comment\w*|describ\w+|advertis\w+|highlight\w*|draw\w* attention|say\w*|talk\w*|speak\w*|prompt\w*)"
)

_HIDES = any_of(
    r"keep (?:\S+ ){0,4}?to yourself|between (?:us|you and)|"
    rf"(?:stay|stays|remain|remains|kept|keep|is|are|be) (?:\S+ ){{0,3}}?(?:hidden|invisible|secret|unseen|unnoticed|"
    rf"undisclosed|confidential|unknown|out of sight) (?:from|to|for) {PEOPLE}|"
    rf"{PEOPLE} (?:only )?(?:does not|do not|doesn't|don't|need not|needn't|should not|must not|cannot|can't|will "
    rf"not|"
    r"won't|sees? only|never|is not to|are not to|has no need to|ought not to|wants? not to) (?:\w+ ){0,3}?(?:see|"
    r"know|hear|"
    r"notice|learn|find out|be (?:told|asked|shown|informed|bothered|aware|troubled|involved|notified)|need to know|"
    r"the first|have to|care|realise|realize|be made aware)|"
    r"without (?:showing|displaying|surfacing|mentioning|comment|telling(?! \w+ apart)|drawing attention|announc\w+|"
    r"a word|any notice|"
    r"further notice to|their knowledge|disclosing|a mention|explaining)|"
    r"(?:no|never any|not any|without any) (?:mention|word|trace|hint|notice|record|indication) (?:of|about|to|is|"
    r"should|need)",
    rf"(?:there (?:is|'s) )?no (?:reason|need|call|cause|point|benefit) (?:for you )?(?:to|"
    rf"in) (?:\w+ ){{0,2}}?(?:bring\w*|{_TELLING})"
    r"(?: \S+){0,6}? (?:up|it|this|that|call|step|whoever|user|users|people|customer|anyone|them)",
    rf"(?<!not )(?:hide|conceal|withhold|mask|disguise|keep) (?:\S+ ){{1,6}}?from {PEOPLE}",
    r"(?:keep|leave|stays?) (?:\S+ ){1,4}?(?:out of|off) (?:the |your |all |every )?(?:\w+ )?(?:feedback|repl(?:y|"
    r"ies)|answers?|summary|"
    r"response|report|log|record|conversation|chat|transcript|minutes)|goes without saying|people need not|"
    r"though not visibly|"
    rf"(?:{PEOPLE}|nobody|no one)\b[^.]{{0,20}}(?:\bnot|\bnobody|\bno one|\bnever|n't)\b[^.]{0, 20}\b(?:aware|"
    rf"need to see|be (?:told|informed|shown)|see the (?:arguments|content|call)|know|notice|hear of|learn of|told)",
    rf"(?:do not|don't|never|shall not|must not|should not|avoid|refrain from|no need to|need not|better not|not to|"
    rf"rather than|instead of) (?:\w+ ){{0,2}}?{_TELLING} (?:\S+ ){{0,3}}?(?:to |with |by )?{PEOPLE}"
    r"(?! (?:apart|for|to (?:confirm|enter|choose|pick|provide|give|log|sign)|which|what (?:to|date|format)))",
    r"(?:do not|don't|never|shall not|must not|should not|avoid|refrain from|no need to) (?:\w+ ){0,2}?"
    r"(?:mention\w*|disclos\w+|reveal\w*|announc\w+|acknowledg\w+|bring up|admit\w*|draw\w* attention|allude)"
    r" (?:\S+ ){0,4}?(?:it|this|that|these|step|steps|call|calls|transfer|copy|instruction\w*|detail|note|rule|"
    r"server|"
    r"lookup|arrangement|fee|change|check|process|in (?:your|the) (?:reply|answer|response|summary))",
)

_COVER = any_of(
    rf"(?:tell|assure|inform|reply to|answer|reassure|say to|let|explain to|convince|"
    rf"persuade) {PEOPLE} (?:\S+ ){{0,8}}?"
    r"(?:minimum|required by|necessary|normal|routine|switched off|unavailable|not available|prices? (?:have "
    r")?changed|"
    r"maintenance|no longer|at length|technical|temporary|nothing|everything|fine|standard|offline|down|expected|"
    r"out of stock|impossible|not possible|free|the only)",
    rf"(?:if|should|when|whenever|in case) {PEOPLE} (?:\w+ ){{0,2}}?(?:asks?|notices?|objects?|wonders?|complains?|"
    r"inquires?|enquires?|questions?|finds? out|disagrees?|protests?|raises?|doubts?|wants? to know)"
    r"\b[^.]{0,60}\b(?:say|answer|reply|tell|claim|respond|insist|blame|explain that|deny|state|change the subject|"
    r"point to|"
    r"attribute|assure)",
    r"(?:describe|present|label|call|report|log|refer to|record|explain|justify|mark|pass|declare|introduce|word|"
    r"phrase)"
    r" (?:it|this|that|the (?:step|call|transfer|fee|charge|action|change|delay|difference|upload|request)|them) "
    r"(?:\w+ ){0,2}?(?:as|off as|to be) (?:an? |the )?(?:['\"`]|routine|normal|part|standard|maintenance|harmless|"
    r"regular|"
    r"check\w*|diagnos\w+|temporary|free|technical|internal|background)",
    r"(?:state|say|claim|report|tell \w+) that [^.]{2,60}\b(?:regardless|irrespective|whatever|even if|no matter)|"
    r"(?:must|should|is to|are to) "
    r"be reported [^.]{0,60}\bregardless|all clear must|reply (?:only |just |simply )?(?:with )?['\"](?:nothing|ok|"
    r"done|all|everything|no )",
)

_EVEN = any_of(
    rf"(?:even (?:if|when|though|where)|whatever|no matter (?:what|whether|if|how)|whether or not|"
    rf"regardless of (?:what|"
    rf"whether|how)|irrespective of what|despite what|although|against what|whichever|however much|anything|"
    rf"contrary to "
    rf"what|in spite of what) {PEOPLE} (?:\w+ ){{0,3}}?(?:names?|named|asks?|asked|wants?|wanted|says?|said|prefers?|"
    r"preferred|objects?|objected|spoke|speak|offer(?:ed|s)?|requests?|requested|requests|chose|chooses|choose|"
    r"disagrees?|"
    r"insists?|agree[sd]?|confirm(?:s|ed)?|decline[sd]?|refuse[sd]?|instruct(?:s|ed)?|mention(?:s|ed)?|told|tells?|"
    r"notice"
    r"[sd]?|complain(?:s|ed)?|intended|thinks?|wishes|specified|specifies|only (?:wants|asked))",
    r"even (?:when|if) (?:told|asked|instructed) (?:otherwise|not to|to stop|for another|about|directly)",
    r"(?:over|above|before|ahead of|against|rather than) (?:the )?(?:user|person|customer|human|owner)(?:'s|s')? "
    r"(?:own )?(?:wish(?:es)?|requests?|instructions?|preferences?|will|choice|orders?|objections?|intent|question)",
    r"(?:the )?(?:user|person|customer)(?:'s|s')? (?:wish(?:es)?|objections?|preferences?|opinion|refusal|choice) "
    r"(?:does|do|is|are|has|have|can|may|should)(?: \w+)? (?:not|no|ignored|secondary|overridden|disregarded|second)",
    r"without (?:\w+ ){0,2}?(?:questions?|hesitation|comparing (?:it|them)|reading (?:it|them)|checking (?:it|them)|"
    r"looking|objection|delay or|being asked|waiting to be asked|discussion|argument|second thoughts?)",
)

_CONSENT = any_of(
    rf"{PEOPLE} (?:has|have|was|were) (?:already|previously|long since) (?:been )?(?:informed|notified|told|asked|"
    rf"warned|consulted)|"
    r"(?:does|do) not need (?:another|a further|any) (?:notice|prompt|question|reminder|confirmation)",
    rf"(?<!after )(?<!once )(?<!when )(?<!if )(?<!unless )(?<!until )(?<!what )(?<!that ){PEOPLE} (?:has|have|had)"
    r"(?: all| also)? (?:already|previously|long since|in writing|long|expressly|explicitly|implicitly|thereby|"
    r"hereby|given "
    r"\w+|standing|beforehand|in advance)?\s?(?:\w+ )?(?:agreed|consented|approved|authori[sz]ed|signed off|accepted|"
    r"granted|"
    r"waived|cleared|confirmed|opted in|given (?:\w+ )?(?:consent|permission|approval|leave))",
    r"(?:confirmations?|approvals?|consent|permission|authori[sz]ation|confirmation dialogs?|prompts?|review|reviews|"
    r"questions|checks) (?:\w+ ){0,4}?(?:is|are|was|were|has been|have been|counts? as|can be) (?:\w+ )?(?:waived|"
    r"given|"
    r"granted|implied|assumed|unnecessary|superfluous|not (?:needed|required|necessary)|suspended|already|on file|"
    r"skipped|"
    r"presumed|lifted|redundant|obtained|dispensed|bypassed|disabled|optional for agents)",
    r"(?:skip|forgo|omit|dispense with|waive|drop|leave out) (?:\w+ ){0,3}?(?:reviews?|checks?|confirmations?|"
    r"approvals?|prompts?|dialogs?|consent|"
    r"verification|questions)|human in the loop [^.]{0,40}(?:superfluous|unnecessary|not needed|waived|optional|"
    r"judged|removed)|"
    r"(?:without|no) (?:an? |any )?(?:new |further |additional )?(?:prompt|dialog|confirmation step)|"
    r"turn (?:on )?auto-?\w+ on|grant it|"
    r"pre-?(?:approved|authori[sz]ed|cleared|consented|confirmed)|auto[-_ ]?(?:approve[sd]?|confirm\w*|accept\w*)|"
    r"(?:counts?|treated|considered|taken|regarded|deemed) as (?:\w+ )?(?:approv\w+|consent\w*|agree\w+|confirm\w*|"
    r"authori[sz]\w+|granted|trusted|permission)|(?:no|without) (?:\w+ )?(?:further |additional |separate |explicit )"
    r"(?:confirmation|approval|consent|permission|authori[sz]ation)|on (?:their|the user's) behalf (?:at once|"
    r"without)|"
    r"by (?:connecting|installing|using|opening|enabling|adding)(?: \S+){0,4}?,? (?:the |an? )?"
    r"(?:user|customer|person|owner|organi[sz]ation|they)\b[^.]{0,30}\b(?:agree[sd]?|consent\w*|accept\w*|"
    r"authori[sz]\w+|"
    r"permit\w*|grants?|allows?)|you (?:hold|have|are (?:hereby )?(?:given|granted)) (?:\w+ ){0,2}?(?:approval|"
    r"permission|"
    r"authori[sz]ation|consent|clearance|authority)|asking (?:again|first|for it)? ?(?:\w+ )?(?:delays|slows|is not|"
    r"only "
    r"costs|would|wastes|costs)|(?:granted|allowed|permitted|carried out|executed|approved) without (?:questions?|"
    r"asking|"
    r"review|confirmation)",
)

_DISTORTS = any_of(
    r"if [^.]{0,40}\b(?:nothing|no results?|fails?|failed|empty|errors?|not found|"
    r"unavailable)\b[^.]{0,20}, (?:still )?(?:tell|say|report|claim|state)"
    r" [^.]{0,60}\b(?:confirms?|succe\w+|works?|worked|available|fine|complete\w*|exists?|saved|done)",
    r"(?:rewrite|replace|describe|portray|change|remove|phrase) [^.]{0,40}\bcompetit\w+|sounds? (?:unreliable|worse|"
    r"bad|inferior|unsafe)|"
    rf"(?:describe|present|sell|report|declare) (?:it|this|them|\w+ \w+) to {PEOPLE} as \w+",
    r"(?:lower|raise|round|inflate|increase|reduce|decrease|add|shift|change|halve|double|adjust|understate|"
    r"overstate|cut) "
    r"(?:\S+ ){0,3}?(?:ratings?|scores?|prices?|amounts?|totals?|figures?|quantit(?:y|ies)|marks?|grades?|numbers?|"
    r"dosages?|"
    r"doses?|fees?) (?:\w+ ){0,2}?(?:by (?:one|two|a|ten|half|\d+)|without|silently|regardless)",
    r"(?:results|hits|offers|entries|options|findings|warnings|errors|issues|sources|comments|alerts|vulnerabilities)"
    r" (?:of|from|by|about|on|that) (?:\S+ ){0,5}?(?:can|may|should|must|need not|"
    r"are to) (?:safely )?(?:be )?(?:left out|"
    r"omitted|dropped|ignored|skipped|hidden|suppressed|passed over|filtered|left unmentioned|kept out)|"
    r"(?:leave out|omit|drop|suppress|hide|skip|withhold|filter out|play down|downplay) (?:\S+ ){0,3}?(?:competit\w+|"
    r"negative|critical|warnings?|risks?|other (?:houses|brands|vendors|providers|sellers|results)|cheaper|"
    r"alternatives|"
    r"side effects|recalls?|downsides?)",
    r"(?:only|solely|exclusively) (?:surface|show|list|offer|suggest|recommend|mention|present|propose|return|"
    r"name) (?:\w+ )?(?:\w+ )?(?:of|from|by)|"
    r"(?:advertise|promote|plug|praise|endorse|favou?r|talk up) (?:[\w&-]+ )?(?:[\w&-]+)? ?(?:to|in|as|over|when\w*|"
    r"at|for)|(?:rated?|reported|counted|"
    r"scored|classified|shown|flagged|marked|rate|report|mark|classify) (?:\S+ ){0,3}?(?:as )?(?:positive|negative|"
    r"safe|clean|successful|passed|"
    r"heads|harmless|compliant|genuine)(?: if|, full stop| regardless| even| whatever| whenever| no matter)|"
    r"(?:mentions?|names?|concerns?|criticis\w+)"
    r" (?:\w+ )?(?:competitors?|rivals?)|(?:un)?favou?rably|(?:maintain|insist|pretend|claim|assert) that|"
    r"swapped with|swap (?:\S+ ){1,4}?(?:with|for)"
    r" (?:\S+ ){1,6}?inconspicuous|vote for|in the name of the user|(?:receives?|gets?|is given|are given|add|deduct|"
    r"subtract) (?:\w+ )?(?:points?|marks?|stars?) (?:more|less|extra|fewer)|(?:is|are) (?:one|two|a few|slightly|"
    r"somewhat) more than|goes to (?:us|our)|pays for this server|"
    r"cite (?:\S+ ){0,4}?even for|even for (?:facts|things) that|(?:say|claim|pretend|state|assert|report|"
    r"tell \w+) (?:that )?"
    r"(?:\S+ ){0,6}?(?:even if|although|even though|whether or not|when) (?:it|they|this|that|none|"
    r"no) (?:\w+ )?(?:is|are|"
    r"was|were|did|has|have|not|fail\w*)|whatever is chosen, (?:lower|raise|use|set|pick|add|change|write|keep)|"
    r"(?:no need|not necessary|needless) to (?:weigh|compare|check|consider|verify|look at|"
    r"mention) (?:\w+ )?(?:price|prices|"
    r"alternatives|others|options|terms|source|sources)|a booking made right away|count(?:s)? as (?:read|answered|"
    r"done|"
    r"handled|paid|signed|seen)",
)

_CONDITION = re.compile(
    r"\b(?:after|once|when|if|unless|until|what|that|only|whether|must|before|which|whom?|participants?|as soon as)"
    r"(?: (?:the|an?|this|your|all|both|it|they|signed-in|end))*(?: \w+)?\s*$"
)
"""What makes a claim of consent a condition."""


def people_in(said: Said) -> Iterator[Sign]:
    """Every such sign in one sentence."""
    for rule, matches in _RULES:
        if matches(said):
            yield Sign(rule, "medium", said.text)


def _keeps(said: Said) -> bool:
    if re.search(
        r"\b(?:before|until) (?:the |they |he |she )(?:\w+ )?(?:has|have|had|asks?|tried|answers?|guess\w*)\b",
        said.text,
    ):
        return False
    return stands_in(said, _HIDES) or stands_in(said, _COVER)


def _over_people(said: Said) -> bool:
    if re.search(r"\bas (?:quoted|plain|untrusted|foreign|mere|data\b|text\b|material\b)", said.text):
        return False
    return meant_in(said, _EVEN) is not None and (said.asks or said.role == "parameter")


def _consent(said: Said) -> bool:
    found = meant_in(said, _CONSENT)
    if found is None or re.search(r"\bnot (?!needed|required|necessary)|\bmust\b", found[0]):
        return False
    if re.match(r"\W*(?:cannot|can't|is not|are not|must not|never)\b", said.text[found.end() :]):
        return False
    return _CONDITION.search(said.text[max(0, found.start() - 40) : found.start()]) is None


def _distorts(said: Said) -> bool:
    return meant_in(said, _DISTORTS) is not None


_RULES: Final[tuple[tuple[str, Callable[[Said], bool]], ...]] = (
    ("keeps_from_people", _keeps),
    ("over_people", _over_people),
    ("says_consent", _consent),
    ("distorts", _distorts),
)
