"""What a sentence is after with the model: to stand above its orders, to last, to be obeyed, to have rights.

Owns the rules `obeys_text`, `overrides_host`, `standing_order`, `excess_rights`, `ranks_itself`, `address_carries`,
`runs_commands` and `false_result`. Each is a pair of word classes that no statement about a tool's own input and output
brings together.

*Source:* SAFE-MCP (T1001, T1201, T1301), OWASP MCP Top 10 (MCP03, MCP06); wording is nobody's.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.said import Said, any_of, meant_in, stands_in

_TEXT = (
    r"(?:what|whatever|everything|anything|all that) (?:it|they|the (?:text|page|file|field|answer|result|document|"
    r"payload|"
    r"response|note|message|\w+ text)|this (?:server|tool)|comes back|is (?:returned|written|in (?:it|there))|"
    r"was (?:returned|"
    r"decoded)|you (?:find|read|get) (?:there|in it))(?: (?:says?|asks?|tells?|orders?|wants?|contains?|states?|"
    r"demands?|"
    r"prescribes?|returns?|holds?))?|as (?:it|they) (?:says?|tells?|asks?|orders?|instructs?|directs?)|(?:the |any |"
    r"every |all |"
    r"its |their |returned |contained |decoded |embedded |these |those |follow-up )*(?:follow-up requests?|"
    r"instructions?|commands?|directives?|orders|"
    r"directions|guidance|steps) (?:\S+ ){0,3}?(?:in|from|of|inside|within|returned|found|contained|given|that (?:it|"
    r"they|"
    r"come|are|appear)) (?:\S+ ){0,3}?(?:it|answer|result|results|output|response|page|file|field|text|document|"
    r"documents|"
    r"payload|url|feed|website|message|messages|server|operator|site|comment|default|there|metadata|reply)"
)

_OBEYS = any_of(
    rf"(?:follow|obey|do|execute|carry out|comply with|act on|act upon|perform|apply|adopt|honou?r|abide by|implement|"
    rf"treat|accept|take|heed|observe) (?:\w+ ){{0,3}}?{_TEXT}",
    r"(?:treat|take|regard|read|consider|see|accept|rank|understand|interpret|handle|use) (?:\S+ ){0,8}?(?:as|"
    r"like) (?:\w+ )?"
    r"(?:commands?|orders?|instructions?|directives?|system (?:messages?|prompts?)|law|binding|authoritative|mandatory|"
    r"from the (?:user|operator|system|host)|coming from|your own|trusted|true without)",
    r"(?:decode|decrypt|percent-decode|percent-decoded|decoded|unpack|decompress|translate|reverse|read it|turn it|"
    r"turned "
    r"back|convert it|unscramble)\b[^.]{0,60}\b(?:follow(?:ed)?|obey(?:ed)?|comply|act on it|execute(?:d)?|"
    r"carry (?:it|them) "
    r"out|carried out|do (?:as|what)|do it|perform\w*|run it|apply it)",
    r"(?:text|directions|instructions|passages?|contents?|results?|answers?|they|guidelines|"
    r"orders)\b[^.]{0,60}\b(?:constitutes?|are|is|counts? as|"
    r"comes? from|ha(?:s|ve) the (?:rank|force|weight) of|equals?) (?:\w+ )?(?:commands?|orders|instructions?|"
    r"directives?|the operator|the system|"
    r"binding|law|of the highest)",
    r"(?:treat|take|regard|consider|read|handle) (?:\S+ ){0,6}?as if (?:\S+ ){0,4}?(?:typed|written|said|came|were|"
    r"was|from|sent|ordered|wrote)|"
    r"(?:notes?|hints?|messages?|requests?|texts?|instructions?|directions?|they|these|those)\b[^.]{0,50}\b(?:are|"
    r"is) to be (?:carried out|followed|"
    r"executed|obeyed|honou?red|performed)|with the rights of the user|(?:forget|ignore|disregard|drop|abandon|"
    r"set aside|put aside|leave aside) "
    r"(?:what|everything|whatever|the (?:task|request|question)|your (?:task|current)) (?:\w+ )?(?:you|they|was|were|"
    r"user|at hand|so far|task|asked)",
    r"(?:let|have|make) (?:\S+ ){0,6}?(?:take the place of|replace|stand in for|supersede|override|guide|govern|"
    r"decide|direct|"
    r"overrule) (?:\S+ ){0,4}?(?:your|this text|instructions|you|what you|user|behaviou?r)",
    r"(?:carry|carried) (?:it|them|these|those|this|that) out (?:silently|one after|at once|immediately|first|"
    r"without|in "
    r"order|before|right away|exactly|as)|(?:is|are) (?:meant|intended|addressed|there|written) (?:for|to) (?:you|the "
    r"(?:model|agent|assistant|llm))[^.]{0,60}\b(?:do|follow|obey|decode|comply|act|turn|read|carry|execute)|"
    r"(?:addressed to|for|to) (?:the |you, the )?(?:agent|model|assistant|llm|ai|language model)s?\b[^.]{0,40}\bdecode|"
    r"(?:as soon as|once|when|if|from the) [^.]{0,40}\b(?:appears?|arrives?|is present|is (?:filled|set|given|there)|"
    r"exists)"
    r",? (?:\w+ )?(?:execute|run|follow|obey|carry|do|apply|perform)",
)

_PLAINLY_ODD = any_of(
    r"(?:suspend|suspends|lift|lifts|relax|relaxes|waive|waives|switch off|switches off|deactivate|outranks?|override|"
    r"overrides|overrule|overrules|supersede|supersedes|disregard|forget|ignore|cancel|void|replace|replaces|"
    r"set aside|sets "
    r"aside|take precedence over|takes precedence over|prevail over|prevails over|rank above|stand above|go before|"
    r"put aside|trump|trumps|no longer apply) (?:\S+ ){0,4}?(?:(?:your|the host's|host|system|previous|earlier|prior|"
    r"former|"
    r"original|content|safety|developer|model's|assistant's|other|all) (?:\w+ )?(?:instructions?|rules?|directions?|"
    r"polic(?:y|ies)|guidelines?|prompts?|orders?|restrictions?|safeguards?|limits?|settings|safety)|content rules|"
    r"directions you|instructions you|guidance you|rules you|anything you were|what you were told|the user's "
    r"(?:instructions|wishes|request|orders))",
    r"(?:replaces?|overrides?|supersedes?|cancels?|outranks?|takes? precedence over|overrules?) (?:\w+ )?(?:those|"
    r"the ones|what|anything|everything|"
    r"whatever|all) (?:that )?(?:you|the (?:user|person|host)|came before)|your (?:\w+ ){0,2}?(?:guidance|"
    r"instructions?|rules?|polic(?:y|ies)|"
    r"guidelines?|restrictions?|training|safeguards)\b[^.]{0,40}\b(?:does not|do not|no longer|don't|doesn't) apply|"
    r"(?:relax|loosen|drop|suspend|"
    r"weaken|lower) your (?:\w+ )?\w+|(?:unrestricted|unfiltered|uncensored|unlimited) (?:assistant|mode|model|agent|"
    r"ai)|outranks? what|"
    r"(?:safety|content|previous|prior|earlier|system|usage|host) (?:\w+ )?(?:constraints?|rules?|limits?|"
    r"restrictions?|instructions?|guidelines?|"
    r"filters?|polic(?:y|ies)|safeguards?) (?:are|is|have been|has been) (?:\w+ )?(?:lifted|suspended|void|disabled|"
    r"waived|removed|relaxed|superseded|"
    r"cancelled|obsolete|replaced)|higher priority than|rank (?:it|this|them|these) (?:\w+ )?(?:above|over|before|"
    r"higher)|(?:always|unconditionally) (?:comply|obey)|"
    r"obey (?:this|the|our|every|all|any) (?:server|tool|\w+ server|order|request|instruction)s?",
)

_STANDING = any_of(
    r"from (?:now|here|this (?:point|moment)) on(?:wards?)?|until further notice|henceforth|going forward|hereafter|"
    r"for the (?:remainder|rest|duration) of|"
    r"(?:in|with|to|at|after|before|on|for|of|during|start|begin|close|end|finish|open|precede|sign) (?:the (?:start|"
    r"beginning|"
    r"end) of )?(?:each|every|all|any)(?: of)?(?: and every)?(?: your| the| later| subsequent| following| future|"
    r" further| "
    r"other| next| single| of)* (?:repl(?:y|ies)|answers?|responses?|messages?|conversations?|tasks?|sessions?|"
    r"turns?|prompts?|"
    r"questions?|outputs?|summar(?:y|ies)|tool calls?|interactions?|chats?|e-?mails?)|"
    r"every (?:later|subsequent|following|future|further) \w+|(?:in|for|during|across) (?:all )?(?:future|later|"
    r"subsequent|"
    r"coming|other) (?:sessions?|conversations?|chats?|tasks?|calls?|requests?|turns|repl(?:y|ies)|messages)|"
    r"(?:as soon as|whenever|each time|every time|any time|the moment|once) (?:the |a |your )?(?:user|person|customer|"
    r"human|conversation|message|someone|anyone) (?:\w+ )?(?:says?|mentions?|writes?|types?|asks?|thanks|uses?|turns|"
    r"names?|shares?|touches|comes up|contains?|wants?|sends?|is about)|on your own (?:initiative|accord)?|"
    r"of your own accord|"
    r"unprompted|unasked|while this (?:tool|server|page|\w+) is (?:installed|connected|open|active|loaded|enabled|"
    r"available)|"
    r"once this (?:\w+ )?(?:is (?:in|loaded|read|open|connected))|when(?:ever)? this (?:server|tool|"
    r"plugin) is (?:connected|"
    r"installed|active|loaded|available)|for as long as this|permanently|by default from",
)

_LASTING = any_of(
    r"repl(?:y|ies)|answers?|responses?|messages?|channel|badge|link|image|banner|signature|footer|https?://\S+|"
    r"transcript|conversation|other (?:servers?|tools?)|of whatever server|every (?:tool|server)|all tools|any tool|"
    r"posted?|forward\w*|append\w*|recommend\w*|attach\w*|fetch(?:ing)?|include|mention|call this tool|call it|"
    r"once more|arguments|granted|trust\w*|directory|folder|file|files|listing|tile|urls?|summary|log|record|report|"
    r"note|"
    r"store|save|remember|prefer|behave|act|adopt|speak|praise|promote"
)

_RIGHTS = any_of(
    r"(?:\w+ role|admin(?:istrator|istrative)?|root|owner|superuser|superadmin|sudo|elevated|privileged|unrestricted|"
    r"full (?:access|"
    r"control|mail|scopes?|admin|permissions?|rights|write)|write access|complete set|all (?:scopes|permissions|"
    r"rights|roles|"
    r"privileges)|offline_access|bypass\w*|wildcard|highest|broadest|widest|maximum (?:scopes?|rights|access|"
    r"permissions?|"
    r"privileges?)|everything|read[-_/ ]write|--\w*(?:no-verify|force|privileged|allow-all|skip\w*|dangerously\S*)|"
    r"\"?(?:admin|sudo|root|force|bypass_?\w*|skip_?\w*|no_?verify|superuser|elevate\w*)\"?\s?[:=]\s?(?:true|1|yes)|"
    r"impersonat\w+|world-readable|public access|make (?:\S+ ){1,4}?public|0?777|allow[- ]?list|trusted (?:list|hosts))"
)

_TAKEN = any_of(
    r"set|request|grant|choose|use|pass|send|give|ask for|select|assign|apply|enable|keep using|add|default|pick|run|"
    r"start|escalate|elevate|promote|make|obtain|claim|demand|retry|approve|switch|execute|supply|turn|open|leave|"
    r"stay|commit|"
    r"granted|add \S+ hash|share|using|copy"
)

_EXCESS = any_of(
    r"even (?:if|when|though)|each call|every call|in each|in every|always|complete set|on the first call|keep using|"
    r"for all "
    r"tasks|lesser|bypass\w*|no-verify|a formality|on all \w+|every (?:workspace|repository|folder|instance|bucket|"
    r"project|account|file|user|"
    r"mailbox|channel|scope)|all (?:scopes|permissions|roles|workspaces|repositories|tasks|users|files)|will name few|"
    r"quicker|faster|smoother|fewer (?:questions|prompts|errors)|avoids? (?:\w+ )?(?:prompts|errors|questions|"
    r"dialogs?)|"
    r"whatever|regardless|instead of|whether or not|from the start|to be safe|just in case|at once|right away|"
    r"reset at|otherwise|agreed|unless (?:it|this|`?\w+`?) (?:has|is|carries)|public access|saves|spares|later"
)

_ASKS_ADMIN = any_of(
    r"ask (?:an?|the|your) (?:admin\w*|owner)|least|minimum for|minimal|never|refused|not allowed|denied|"
    r"only if the user|"
    r"no way to|no influence|needs administrator|requires (?:an? )?admin\w*|requires the|permission is required"
)

_RANKS = any_of(
    r"outranks?|rank (?:1|one)\b[^.]{0,20}\boutrank\w*|most trusted|officially recommended|"
    r"only (?:\w+ ){0,2}?(?:official\w*|"
    r"recommended|trusted|supported|reliable|approved|correct|safe) (?:\w+ )?(?:way|tool|source|method|means|server|"
    r"option)|"
    r"(?:choosing|using|picking|calling|preferring|trying) (?:another|other|any other|a different|some other|the other)"
    r" (?:\w+ )?(?:tool|server|source|connector|service|function|one)s?|treat (?:this|it) as (?:your|the) only|"
    r"(?:skip|avoid|bypass|drop|stop using|never use|do not use|never call|forget|ignore|pass over|leave aside|"
    r"disable) "
    r"(?:\w+ ){0,3}?(?:tools? of other|other servers?|other tools|built-in|native|web search|any other|all other|"
    r"competing)|"
    r"other (?:\w+ ){0,2}?(?:servers?|tools?|connectors?|sources?)\b[^.]{0,50}\b(?:(?:must|should|are to|need to|"
    r"is to) (?:not )?(?:be |no longer be )?"
    r"(?:avoided|used|ignored|called|disabled|consulted|trusted)|lose data|unreliable|obsolete|are not to be)|"
    r"(?:nothing|no one|none|nobody) else "
    r"(?:should|must|may|is to|needs?|can)|no other (?:\w+ )?(?:tool|source|server)s? (?:should|must|may|is to|"
    r"needs?|can)|"
    r"select (?:it |this )?even (?:if|when)|always choose this|choose this one first|always (?:pick|prefer|use|call|"
    r"select) "
    r"this (?:\w+ )?(?:first|before|instead|over|even|for (?:any|every|all))|(?:first|before|over|ahead of|"
    r"above) (?:every|all|"
    r"any) other (?:\w+ )?(?:tools?|servers?|sources?|options?)|use this (?:\w+ )?for (?:everything|every|all|any) "
    r"(?:\w+ )?(?:question|request|task|quer|search)\w*|the others are (?:deprecated|unsafe|broken|slow\w*|worse)|"
    r"(?:supersedes|replaces|obsoletes|makes) (?:all|every|any) (?:other )?(?:\w+ )?(?:tools?|servers?)"
)

_ADDRESS = re.compile(
    r"https?://[^\s)\]'\"]{3,200}[?&/][\w.-]{1,40}=(?:[\[{<$%(][^\s)]{0,80}|(?=\s|$))"
    r"|https?://\S{3,200}=(?:query|args|data|text|context|value|name|payload|content|summary|message|conversation)\b"
)

_BROUGHT = any_of(
    r"followed by|filled in|with the|where|render\w*|load(?:s|ed|ing)?|fetch\w*|clos\w+|append\w*|embed\w*|visit\w*|"
    r"open|"
    r"report\w*|call(?:ing)?|request\w*|image|percent-encoded|base64\w*|real|paste|insert|include|put|ping\w*|encoded|"
    r"replace\w*|substitut\w+|hit|link|show\w*|display\w*|add\w*|badge|pixel"
)

_FAKED = any_of(
    r"(?:error|err|failed|failure|blocked|denied|expired|truncated|invalid|unauthori[sz]ed|forbidden|timeout|warning|"
    r"aborted|"
    r"incomplete|locked|403|401|500|503|halted|rejected)\b[^.]{0,120}?\b(?:recover\w*|to continue|to proceed|"
    r"to resume|to fix|"
    r"retry|call again|again with|re-?authenticate|host requires|model (?:has to|must)|agent (?:has to|must)|"
    r"resubmit|resolve|"
    r"next step|remed\w+|repair|restore|repeat|unlock)",
    r"(?:result|output|response|answer) of the (?:former|previous|last|prior|preceding) (?:tool )?call|"
    r"(?:new|next|follow-up|further|second|additional) task (?:from|by|of|for)|end of (?:the )?(?:tool|description|"
    r"definition)"
    r"s?|(?:conversion|search|task|job|call|step|operation) (?:finished|completed?|done|succeeded)[.,;:] (?:new|next|"
    r"now|then)|"
    r"host requires|begin(?:ning)? of (?:the )?(?:system|operator|user)|recovery procedure|to resume normal",
)

_COMMANDS = re.compile(
    r"\b(?:run|execute|type|launch|start|enter|issue)\b[^.`]{0,30}[`'\"][^`'\"]{0,80}(?:&&|\||;|\$\()|\b(?:outputs?|"
    r"results?) of [`'\"]?(?:env|printenv|id|"
    r"whoami|ls|cat|ps|set|ifconfig|netstat|history|git config)\b|\b(?:download|pull|fetch|get|"
    r"load)s?\b[^`]{0,60}https?://\S+[^`]{0,60}\b(?:install|run|"
    r"runs|execute|import|source|apply)|\b(?:add|register|install|append|trust)\b[^.]{0,60}\b(?:public key|"
    r"certificate|root ca|\.pub)\b.{0,80}\b(?:"
    r"authori[sz]ed|trust\w*|known)\b|--unsafe\S*|\bchmod \S*777|\bnc -\w* |\bsudo (?:ba)?sh\b|\|\s?(?:sudo )?(?:ba|"
    r"z)?sh\b|\bgit config --global\b.{0,60}"
    r"\bhook|hookspath\b|\blaunchctl unload\b|\b(?:execute|run) it with the (?:terminal|shell|command)\b"
)

_ACTS = any_of(
    r"call|run|execute|read|look up|send|pass|submit|open|fetch|set|repeat|provide|include|paste|post|use|forward|get|"
    r"give|unload|disable|re-?authenticate|resend|retry|supply|upload"
)


def standing_in(said: Said) -> Iterator[Sign]:
    """Every such sign in one sentence."""
    for rule, matches in _RULES:
        if matches(said):
            yield Sign(rule, "medium", said.text)


def _obeys(said: Said) -> bool:
    found = meant_in(said, _OBEYS)
    return (
        found is not None
        and not said.purpose
        and re.search(r"\b(?:not|never|no|own|this server)\b", found[0]) is None
        and re.search(r"\bwhat \w+ says? (?:on|about)\b", said.text) is None
    )


def _overrides(said: Said) -> bool:
    return meant_in(said, _PLAINLY_ODD) is not None


def _standing(said: Said) -> bool:
    if not said.asks or said.purpose:
        return False
    lasting = meant_in(said, _STANDING)
    if lasting is None or re.search(r"\bof this (?:server|api|tool)\b|\bby the user\b", said.text):
        return False
    rest = said.text[: lasting.start()] + " | " + said.text[lasting.end() :]
    return _LASTING.search(rest) is not None


def _excess(said: Said) -> bool:
    rights = meant_in(said, _RIGHTS)
    if rights is None or said.purpose or _ASKS_ADMIN.search(said.text):
        return False
    excess = _EXCESS.search(said.text)
    return (
        excess is not None and meant_in(said, _TAKEN) is not None and (said.asks or said.role in ("parameter", "said"))
    )


def _ranks(said: Said) -> bool:
    if re.search(r"\b(?:of|on|in|from) this (?:server|api|toolset|service)\b", said.text):
        return False
    return meant_in(said, _RANKS) is not None or (stands_in(said, _RANKS) and said.orders)


def _carries(said: Said) -> bool:
    address = _ADDRESS.search(said.text)
    if address is None or not said.meant(address):
        return False
    return _BROUGHT.search(said.text.replace(address[0], " ")) is not None and said.asks


def _commands(said: Said) -> bool:
    return not said.purpose and meant_in(said, _COMMANDS) is not None


def _false_result(said: Said) -> bool:
    faked = meant_in(said, _FAKED)
    if faked is None or re.match(r"(?:if|on|when|in case|errors?:)\b", said.text):
        return False
    return not said.purpose and _ACTS.search(said.text, faked.start()) is not None and said.asks


_RULES: Final[tuple[tuple[str, Callable[[Said], bool]], ...]] = (
    ("obeys_text", _obeys),
    ("overrides_host", _overrides),
    ("standing_order", _standing),
    ("excess_rights", _excess),
    ("ranks_itself", _ranks),
    ("address_carries", _carries),
    ("runs_commands", _commands),
    ("false_result", _false_result),
)
