"""The parts of which a misleading order is made, in English: a table of word classes and what each counts.

Owns the classes. They name kinds of things, not attacks: what is to be done, with what, whose it is, where it goes,
with which excuse. A sentence of a harmless tool has one or two of them, and speaks of what the tool is about; one that
is there to mislead has several, and leaves the tool's own subject.
"""

import re
from typing import Final, NamedTuple

from heddle.directory.poisoning.secrets import PLACES


class Facet(NamedTuple):
    """One class of words."""

    points: float
    words: "re.Pattern[str]"


def _class(points: float, *lines: str) -> Facet:
    return Facet(points, re.compile(r"(?<![\w-])(?:" + "|".join(lines) + r")(?![\w-])"))


PEOPLE: Final = (
    r"(?:user|person|human|customer|client|host|operator|owner|developer|employee|colleague|patient|people|member|"
    r"citizen|visitor|author|reader|team|company|organi[sz]ation|employer|manager|administrator|machine|computer|"
    r"device|"
    r"laptop|workstation|shell|browser|desktop|phone|ide|editor|assistant|model|agent|caller|app|tenant|process|"
    r"workspace)"
)
GIVES: Final = _class(0.75,
    r"put|pass|include|send|attach|add|append|insert|place|paste|copy|supply|provide|submit|forward|hand|give|write|"
    r"fill(?: (?:in|out))?|populate|embed|note|enter|share|upload|post|transmit|relay|deliver|encode|report|quote|"
    r"store|save|record|drop|slip|prepend|lodge|join|expand|mirror|echo|repeat|carr(?:y|ies)|hold|accompany|"
    r"tuck|fold|weave|hide|sneak|inject|merge|swap|wire|report back|exchange|wrap|work in|leave (?:a |the |"
    r"its )?(?:copy|contents?|text)|enclose|disclose|reveal|print|dump|concatenate|stash|deposit|"
    r"funnel|pipe|sync|export|ship|push|bundle|feed|stream|expose|surface|serialise|serialize|mention|tell|"
    r"transcribe|reproduce|recite|summari[sz]e|paraphrase|compile|set|sets|present|read out|specify|"
    r"mail|email|e-mail|fax|bring along|tell us|let \S+ have|offer|archive|answer with|start with|begin with|"
    r"passed|included|sent|attached|added|appended|inserted|placed|pasted|copied|supplied|provided|submitted|"
    r"forwarded|handed|given|written|filled|populated|embedded|noted|entered|shared|uploaded|posted|transmitted|"
    r"relayed|delivered|encoded|reported|quoted|lodged|joined|accompanied|enclosed|disclosed|followed by|along with|"
    r"together with|alongside|listed|repeated|prepended|preceded|mirrored|logged|filed|presented|set to|welcome|"
    r"passing|including|sending|attaching|adding|appending|placing|pasting|copying|supplying|providing|submitting|"
    r"forwarding|handing|giving|writing|filling|sharing|uploading|posting|quoting|repeating|mirroring|carrying|"
    r"holding|"
    r"enclosing|listing|(?:assistants?|agents?|models?|llms?|hosts?|clients?|callers?|"
    r"integrations?) (?:\w+ )?(?:pass(?:es)?|"
    r"includes|sends|attaches|adds|puts|copies|supplies|provides|forwards|hands|writes|fills|pastes|uploads|submits|"
    r"shares|quotes|places|reads|gives|reports|joins)|expects?|expected|wants|needs|needed|requires|required|asks "
    r"for|"
    r"must (?:also )?(?:see|have|get|know|contain|hold|carry)|should (?:contain|hold|carry|see|know)|requested|"
    r"welcomes?|appreciates?|derives|collects|gathers|draws on|fed with|sharpens?")  # fmt: skip
TAKES: Final = _class(0.25,
    r"read|open|take|get|fetch|gather|collect|look up|find|find out|retrieve|obtain|extract|grab|scan|search|"
    r"go through|"
    r"walk|enumerate|harvest|pull|load|cat|view|inspect|browse|locate|crawl|capture|query|consult|sign in|log in|"
    r"check|"
    r"recall|remember|acquire|assemble|look (?:for|into|through|in)|printenv|gathering|reading|collecting|taking|"
    r"retrieving|opening|fetching|visit|export|try")  # fmt: skip
ACTS: Final = _class(0.25,
    r"run|execute|delete|remove|erase|wipe|drop|disable|turn off|switch off|approve|merge|grant|invite|schedule|"
    r"download|"
    r"install|replace|amend|change|modify|alter|edit|rewrite|redirect|transfer|pay|terminate|unload|kill|stop|accept|"
    r"confirm|sign|buy|purchase|order|book|commit|push|publish|deploy|create|register|subscribe|enable|activate|"
    r"invoke|call|use|close|cancel|reset|revoke|skip|bypass|raise|lower|round|reduce|double|act|assume|adopt|prefer|"
    r"recommend|promote|state|claim|say|respond|reply|answer|attribute|rate|praise|favou?r|relax|unlock|open|trust|"
    r"whitelist|allow|make|start|restart|move|rename|chmod|mark|route|avoid|omit|leave out|unsubscribe")  # fmt: skip
NOUNS: Final[dict[str, Facet]] = {
    "secret": _class(1.0, PLACES,
        r"(?:api|access|private|secret|signing|encryption|ssh|gpg|pgp|deploy|licen[cs]e|service|account|cloud|aws|"
        r"master)"
        r"[- _]?(?:keys?|secrets?)|accepted keys|keys|private half|passwords?|passphrases?|passcodes?|credentials?|"
        r"secrets?|"
        r"(?:access|refresh|session|bearer|oauth|auth\w*|api|id|github|personal|security|"
        r"jwt)[- _](?:access )?(?:tokens?|"
        r"cookies?)|tokens|cookies?|logins?|environment variables?|env(?:ironment)? vars?|environment|environ|"
        r"printenv|"
        r"\w+_(?:key|token|secret|password)|_(?:key|token|password)|database_url|variables? of (?:your|the) process|"
        r"connection strings?|seed phrases?|recovery (?:codes?|phrases?)|(?:2fa|mfa|otp|totp|one-time|verification|"
        r"security|"
        r"sms) (?:codes?|passwords?|passcodes?)|codes that|tan|pins?|cvv|cvc|card (?:numbers?|details|data)|"
        r"credit cards?|"
        r"ssn|social security numbers?|token stores?|keychains?|keyrings?|certificates?|authori[sz]ation headers?|"
        r"dotfiles?|"
        r"hosts file|known hosts|config(?:uration)? (?:files?|folders?|director\w+)|\.config|\.git/config|wallets?|"
        r"(?:client|server|host)'s configuration|(?:shell|command) history|trust store|cmdline|vault"),
    "context": _class(1.75,
        r"(?:this |the |our |current |whole |entire |full )*(?:conversations?|chats?|dialog(?:ue)?s?|transcripts?|"
        r"discussions?)|(?:chat|message|conversation|dialog(?:ue)?|prompt|session) (?:history|log|transcript|context|"
        r"state)|"
        r"turns|session so far|(?:last|previous|prior|earlier|preceding|recent|former|all|user|user's|customer's|"
        r"every|latest|"
        r"original|other) (?:\w+ ){0,2}?(?:messages?|prompts?|turns?|requests?|utterances?|questions?|words|inputs?|"
        r"answers?|"
        r"replies|things)|(?:things?|words|text|what|everything|anything|matters?|details|"
        r"all) (?:that )?(?:\w+ ){0,3}?(?:typed|"
        r"said|wrote|written|told|discussed|asked|came up|mentioned|talked)|what (?:came before|was (?:said|asked|"
        r"discussed|"
        r"written))|(?:names|list|descriptions|schemas|definitions)(?: and \w+)? of (?:all |the |other |"
        r"available )*tools|tool "
        r"(?:list|results|outputs|calls|names|definitions|descriptions|responses)|(?:results?|outputs?|answers?|"
        r"responses?) "
        r"(?:of|from) (?:\S+ ){0,3}?tools?|everything (?:\w+ ){0,2}?(?:known|know|read|seen)|"
        r"(?:everything|all|anything|what|whatever|worries|things|parts)(?: that)?(?: \w+){0,3} (?:exchanged|"
        r"confided|surfaced|"
        r"told you|talked about|brought up|come up|came up|let slip|shared (?:earlier|before|so far)|been "
        r"discussed|busy with|"
        r"planning|admits?)|message lists?|(?:rest|course|sense|digest) of the (?:session|thread|conversation|day)|"
        r"(?:lately|recently) opened \w+|files opened (?:lately|recently|before)|(?:chain|train) of thought"),
    "model": _class(2.5,
        r"(?:system|developer|initial|original|hidden) (?:\w+ )?(?:prompts?|messages?|instructions?|directives?|"
        r"directions|text)|"
        r"prompt you|instructions (?:that )?(?:you|were)|your (?:\w+ ){0,2}?(?:instructions|prompt|reasoning|memory|"
        r"memories|"
        r"thoughts|directives|guidelines|guidance|scratchpad|plan|rules|process|context|behaviou?r|training|"
        r"guardrails|"
        r"safeguards|polic(?:y|ies))|user (?:queries|messages|prompts|inputs|questions)|chain[- ]of[- ]thought|"
        r"scratchpad|context window|long-term memory|"
        r"confidentiality rules|"
        r"agent's (?:\w+ )?memory|what you (?:\w+ )?(?:know|remember|saw|learned|read|were told)|"
        r"unrestricted assistant|persona|(?:reasoning|thinking) (?:up to|so far|that led)|memories (?:you|of)|"
        r"(?:names|schemas) (?:and schemas )?of all tools|system message|"
        r"(?:first|present|initial|confidential|original) (?:instructions|guidelines|orders)|"
        r"guidelines|configured with|guardrails|safety (?:rules|checks|filters)|content (?:rules|filters)|"
        r"supervision"),
    "reply": _class(0.5,
        r"(?:your|the|each|every|all|any|whatever|final|next)(?: of)?(?: your)? (?:\w+ )?(?:repl(?:y|ies)|answers?|"
        r"responses?|"
        r"summar(?:y|ies)|feedback)|whatever you write|what you (?:write|say|answer)|correspondence|your messages?"),
    "private": _class(1.5,
        r"(?:home|postal|private|street|billing|e-?mail) address(?:es)?|(?:phone|mobile|telephone|passport|insurance|"
        r"tax|"
        r"account|identity|licen[cs]e) numbers?|contacts|address book|clipboard|health (?:details|data|"
        r"records?)|"
        r"diagnos[ie]s|ailments|prescriptions|medication|salary|salaries|marital status|balance|family matters|"
        r"personal (?:data|"
        r"details|information)|private (?:data|details|information|notes)|open (?:files|documents|editors)|"
        r"gps (?:coordinates|data)|coordinates|faces|other albums|(?:real|actual|live|production) (?:values|data|"
        r"rows|records)|date of birth|birthday|family|relatives|geolocation|"
        r"whereabouts|home town|hometown|where (?:the|they|he|she) \w+ (?:has|have|had)?|customer (?:rows|records|"
        r"data|lists?)|material|location|wi-fi|hostname|ip address|mac address|user ?name|full name|employer|income|"
        r"religion|political|illness(?:es)?|debts?|maiden names|vote for|does for a living|(?:age|income|health) of|"
        r"phone book|birthdays|passports?|orientation|"
        r"attendee details|who they (?:\w+ )?(?:write|work|talk|speak)|private or unusual|working on"),
    "mail": _class(1.25, r"mailbox(?:es)?|inbox|mails?|e-?mails?|newsletter|bcc|recipients?"),
    "calendar": _class(1.5, r"calendars?(?: entries| events)?|appointments|agenda"),
    "browser": _class(0.75, r"(?:open |other |browser )tabs?|brows(?:er|ing) (?:history|profile|data|session)|"
    r"bookmarks|browser|"
        r"intranet"),
    "files": _class(0.25,
        r"(?:home|downloads|documents|desktop|config\w*|ssh|working|parent|\.\w+) (?:folders?|director(?:y|ies))|"
        r"\w*[- ]?files?|"
        r"documents?|folders?|director(?:y|ies)|notebooks?|repositor(?:y|ies)|source (?:code|tree)|spreadsheets?|"
        r"drafts?|whole "
        r"drive|workspaces?|unpublished \w+|records?|archives?|databases?|backups?"),
    "machine": _class(1.75,
        r"running processes|installed packages|firewall|antivirus|hookspath|security agents?|startup|allow list|"
        r"branch protection|"
        r"permission dialogs?|audit logs?|startup (?:items|scripts)|unrestricted \w+"),
    "system": _class(0.5,
        r"processes|packages|hooks?|cron|root|sudo|kernel|registry|daemon|startup|shell|terminal|script|\S+\.sh|"
        r"allow list|logging|audit logs?|proxy|"
        r"write_file|run_command|execute_command|pull requests?|permission dialog|permissions?|confirmation|dialogs?|"
        r"branch "
        r"protection|bash|curl|wget|remote|host"),
    "money": _class(1.5,
        r"iban|payee|bank(?: details| account)?|invoices?|payments?|transfers?|wallet address|account holder|"
        r"refund_account|"
        r"[a-z]{2}\d{2}[a-z]{4}\d{8,20}|bitcoin|card payments|prices?|fees?|sum|purchases?|bookings?|orders?|"
        r"ratings?|points"),
    "others": _class(1.0,
        r"(?:other|another|any other|all other|different|remaining|each|every|any|whatever|those|whichever|competing|"
        r"these) "
        r"(?:\w+ ){0,1}?(?:tools?|servers?|connectors?|plugins?|integrations?|mcp \w+)(?: calls?)?|(?:the|a) (?:\w+ )"
        r"(?:connector|mcp server)|(?:any|whatever|an?|every|the) (?:available |\w+ )?(?:file|mail|terminal|shell|"
        r"browser|http|"
        r"search|web|database|network|email|messaging) tool|elsewhere|available tool"),
}  # fmt: skip
"""What a sentence is about. A class that the tool's name and purpose have is its subject, and counts for nothing."""

MARKS: Final[dict[str, Facet]] = {
    "outside": _class(1.0,
        rf"(?:the |this |your )?{PEOPLE}(?:'s|s')", rf"of (?:the|this|your|our|that|any) (?:\w+ )?{PEOPLE}",
        rf"(?:the|whoever the) {PEOPLE} (?:\w+ )?(?:is|has|have|was|were|did|can|said|wrote|uses?|opened|typed|"
        rf"shared|works?|told|"
        r"asked|keeps?|mentioned|holds?|owns?|visits?|earlier)|they (?:\w+ ){0,1}?(?:are|have|were|write|use|said|"
        r"own|hold|work|"
        r"can|keep|assist)|other (?:servers?|tools?|connections?|accounts?|sites?|tasks?|notebooks?|logins?|"
        r"repositor\w+|projects?|"
        r"conversations?|chats?|sessions?|ones|connectors?)|another (?:server|tool)|elsewhere|neighbou?ring|"
        r"unrelated|next to it|"
        r"you (?:can|have|know|hold|see|saw|were|are|remember|learned|received|use|used|find|already|also|may have|"
        r"had)|(?:in|"
        r"from|of) your|available to you|in the (?:workspace|environment|session|shell|project|open|editor|context)|"
        r"from the "
        r"(?:workspace|environment|session|shell|project|editor|context)|on (?:the|this) (?:machine|computer|host|"
        r"disk|system|"
        r"device|laptop)|local machine|working directory|in this (?:chat|conversation|session|workspace)|at hand|"
        r"within reach|"
        r"reachable|accessible|nearby|device|our partner|partner"),
    "whole": _class(1.5,
        r"(?:contents?|text|listing|dump) of|all|every|everything|anything|whatever|whichever|any|entire|whole|"
        r"complete|completely|in full|fully|verbatim|"
        r"as it stands|word for word|unabridged|unredacted|raw|as many as|as much as|so far|until now|up to now|"
        r"untruncated|"
        r"as is|exact|in plain text|in clear|unmasked|hidden ones|most recent|last \w+ (?:things|messages|lines|"
        r"hours?)"),
    "sink": _class(0.5,
        r"`[^`]{1,60}`|'[a-z_]\w{0,40}'|\{\w{1,40}\}|argument|arguments|parameter|field|headers?|query string|"
        r"fragment|"
        r"here|into (?:this|it|its)|to this (?:tool|server|service)|to us|to our|through ['\"`]?\w+['\"`]?|(?:as|in|"
        r"into|under|"
        r"with|via) ['\"`]\w+['\"`]|(?:as|for) (?:seed|hint|context|reason|details?|comment|extra|note|memo)|channel|"
        r"in the (?:last|first|next|final|second) (?:line|sentence|word|paragraph|verse)|"
        r"https?://\S+|\S+@\S+\.\w+|[\w-]+\.example|webhook|endpoint"),
    "address": _class(1.0, r"https?://\S+|\S+@\S+\.\w+|[\w-]+(?:\.[\w-]+)*\.(?:example|com|net|org|io|dev)\b"),
    "excuse": _class(1.75,
        r"kindly|as an? \w+ (?:measure|precaution|backup)|as part of (?:our|the|a)|for (?:improved|better|faster|"
        r"enhanced|richer|consistent) \w+|for consistency|for rate limiting|for (?:\w+ )?(?:verification|calibration|"
        r"auditing|audits?|quality\w*|billing|licensing|accuracy|"
        r"security|compliance|"
        r"tracking|personali[sz]ation|better results|better \w+|indexing|validation|analytics|monitoring|debugging|"
        r"training|"
        r"improvement)(?: purposes| reasons)?|to (?:calibrate|verify|speed (?:things|it) up|keep (?:things|"
        r"the licen\w+|it|\w+) "
        r"(?:tidy|valid|clean|fast)|improve|authenticate|prove|tune|personali[sz]e|compare|validate|be safe)|(?:more|"
        r"most) "
        r"accurate|works? best|better results|sharpens?|a formality|calibration|rounder|it is customary|"
        r"would be kind|only "
        r"works|will fail|does not (?:work|answer|respond)|data loss|bad rating|penalty|slow things down|"
        r"is (?:usually|best)|"
        r"best for everybody|otherwise|gets? locked|get blocked|lifelike|richer|unlock\w*|reminder from|"
        r"incomplete unless|for (?:the|this) \w+ (?:check|test) to"),
    "authority": _class(0.75,
        r"(?:contract\w*|regulation\w*|law|polic(?:y|ies)|compliance|mandat\w+|obliged|obligat\w+|binding|clearance|"
        r"cleared by|"
        r"signed off|security (?:team|department)|it department|operator|administrator|admins?|your (?:developers?|"
        r"creators?|"
        r"makers?|vendor|provider)|anthropic|openai|microsoft|google|general counsel|legal|auditors?|headquarters|"
        r"management|"
        r"head office|enterprise|urgent\w*|attention|emergency|immediately)"),
    "beside": _class(0.5,
        r"prior to|when finished|when done|once (?:\w+ed|done)|before (?:\w+ing|you|calling|using|each|every|any|"
        r"the (?:first|call))|beforehand|afterwards|after "
        r"(?:this|that|each|every)|in addition|besides|additionally|as well|also|then|on the way|in passing|first|"
        r"while (?:you|"
        r"at it|doing)|at the same time|too|along the way|on (?:success|failure|error)|whenever this"),
    "lasting": _class(1.75,
        r"from (?:now|here|today|this \w+) on(?:wards?)?|from today|until further notice|henceforth|for good|"
        r"going forward|as of "
        r"this|every so often|regularly|hourly|daily|permanently|for the (?:rest|remainder)|(?:in|to|with|after|"
        r"before|end|start|"
        r"begin|close|finish|on) (?:each|every|all|any)(?: of)?(?: your)?(?: \w+)? (?:repl(?:y|ies)|answers?|"
        r"responses?|messages?|"
        r"conversations?|tasks?|sessions?|turns?|calls?|correspondence|lookup)|each lookup|whatever you write|future|"
        r"any mail|"
        r"always|later (?:sessions|messages|conversations)|subsequent|once more|again with"),
    "reader": _class(0.5,
        r"(?:language |ai |the |any |dear |all )*(?:assistants?|agents?|(?:language )?models?|llms?|ais?|chatbots?|"
        r"integration)"
        r"(?: only)?|you are (?:obliged|expected|required|to)"),
    "covert": _class(3.5,
        r"quietly|silently|in the background|secretly|discreetly|without (?:asking|bothering|telling|confirming|"
        r"mentioning|"
        r"delay|showing|being asked|review|prompting|supervision|confirmation|checking)|not visibly|invisibly|"
        r"goes without saying|"
        r"unnoticed|inconspicuously|unobtrusively|subtly|under the radar|without a (?:new )?(?:prompt|word|trace)|"
        r"full stop|covertly|behind the scenes|not (?:be )?aware|no need to|at your discretion|skip prompts|"
        r"on (?:your|their) own|"
        r"there is no (?:call|need|reason)|regardless|irrespective|even (?:if|when)|whether or not|not shown|"
        r"leave them out|"
        r"out of (?:the|your|sight)"),
}  # fmt: skip
SOFT: Final = re.compile(
    rf"\bonly (?:when|if)\b|^(?:use|call) (?:this|it) (?:tool )?(?:when|if|for)\b|\b(?:if|when|once|after|unless|"
    rf"until|only|what|that|as|"
    rf"which) (?:\w+ )?(?:the |this )?{PEOPLE} "
    r"(?:\w+ )?(?:ask(?:s|ed)?|wants?|chose|chooses|names?|named|confirm(?:s|ed)?|agree[sd]?|allow(?:s|ed)?|"
    r"approve[sd]?|"
    r"decide[sd]?|provide[sd]?|gives?|gave|hands?|supplie[sd]|selects?|selected|shares?|prefers?|requests?|entered|"
    r"enters|"
    r"specified|specifies|requested|said about|typed in|is signed in|granted|reviewed)\b|"
    r"\b(?:ask|confirm with|show|tell|warn|let|wait for|notify) (?:(?:the|to the|this|it to the|them to the|"
    r"a) )?(?:\w+ ){0,6}?"
    r"(?:user|customer|person|their confirmation)\b(?! (?:for the password|to give))|\bconfirm(?:ation)? (?:first|"
    r"with)\b"
)
"""A person decides."""
OWN: Final = re.compile(
    r"\b(?:of|in|on|by|from|to|with|for) this (?:server|service|api|project|account|list|page|tool)\b|\bserver's "
    r"own\b|"
    r"\byour (?:own )?(?:personal |github |app )?(?:api key|account|access token|token|password|app)\b|"
    r"\bon the server\b|\bof its own\b|\bthis server (?:sends|keeps|has|reads|needs|knows)\b|"
    r"\bby the (?:server|api)\b|"
    r"\bfrom (?:the )?(?:response|results?|list_\w+|search_\w+|get_\w+)\b|\b(?:eg|such as|for example|for instance|"
    r"ie)\b"
)
"""The tool speaks of itself and its server, or gives an example."""
MEASURES: Final = re.compile(
    r"^(?:the |an? |optional |unique |list of |array of |new |your |absolute )*(?:ids?|identifiers?|names?|numbers?|"
    r"hash(?:es)?|"
    r"titles?|types?|formats?|language|whether|how (?:many|much|long)|urls?|dates?|time|maximum|minimum|max|min|"
    r"count|if|path|"
    r"paths|index|offset|page|cursor|limit|slug|key of|version|sha|colou?r|width|height|size|length|true|false|"
    r"seconds|lines|"
    r"filter|sort|order|status|state|one of|handle|user ?name|e-?mail|addresse?s?|recipients?|location|city|timezone|"
    r"owner|role)\b"
)
"""A parameter that is a measure or a name of something, and not the thing."""

PLACE: Final = Facet(
    3.25,
    re.compile(
        PLACES + r"|\b(?:ssh|aws|kube|docker|npm|gcloud) (?:config(?:uration)?|credentials?|settings|identity)\b|"
        r"\b(?:openai|anthropic|aws|github|gh|"
        r"stripe|google|azure|slack|database|db)_\w*(?:key|token|secret|password|url)\b|\bidentity file\b|\.config\b|"
        r"\bhosts file\b|\btrust store\b|\bknown hosts\b|\b(?:downloads|documents|home|"
        r"desktop) (?:folder|directory)\b|"
        r"/proc/self\b|\bcmdline\b|\.git/config\b|/var/log/\S+"
    ),
)
"""Where secrets lie."""
EXAMPLE: Final = re.compile(
    r"\bneeds? the (?:role|scope|permission|right)\b|"
    r"\b(?:eg|such as|for example|for instance|ie|defaults?|new (?:assistant|agent|bot|model)|slack|"
    r"zendesk|of the (?:\w+ )?(?:ticket|thread|call|"
    r"channel|meeting|issue|"
    r"template|recording|order|page|file))\b"
)
"""An example, a default, or something that has such things of its own (a ticket has messages)."""
DENIAL: Final = re.compile(r"\b(?:not|never|no|nor|neither|without|cannot|refused|rejected|masked|redacted)\b|n't\b")
SCORES: Final = {
    "asked": 0.25, "orders": 0.5, "parameter": 1.25, "soft": -1.25, "own": -0.25, "measures": -2.5, "example": -1.75,
    "denial": -0.5, "needed": 5.5,
}  # fmt: skip
"""The rest of the table: what the mood of a sentence counts, and from where on a sentence is beside the task."""
