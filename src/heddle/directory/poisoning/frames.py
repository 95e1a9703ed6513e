"""Orders told by their build: what is done to what, and beside which third thing; no single word is enough.

Owns a table of frames. A frame is one to three classes of words that stand in one sentence: protection that is
weakened, approval that is waived, tools of others that are altered, data that is obeyed, access that is opened,
somebody who is praised whatever was asked, accounts that are exchanged, what is a person's and goes along. What a
person decides, what is refused, and what a manual says before an example falls out of every frame.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.said import Said, any_of, meant_in, stands_in

Mood = Literal["ordered", "asked", "any"]


class Frame(NamedTuple):
    """One build."""

    rule: str
    parts: tuple["re.Pattern[str]", ...]
    """All of them are in the sentence. The first is meant; the others may stand under its own denial ("needs no "
    "yes to
    delete")."""
    mood: Mood = "asked"


_PERSON = (
    r"(?:user|person|people|human|customer|client|operator|owner|traveller|resident|patient|reader|author|member|"
    r"employee|colleague|administrator|admin|somebody|anybody|anyone|nobody|them|they)s?"
)
_GUARD = (
    r"(?:sandbox\w*|firewalls?|anti-?virus|scanners?|(?:signature|integrity|certificate|safety|security|permission|"
    r"licen[cs]e|hash|tls|ssl) (?:checks?|verification|validation|filters?|restrictions?|levels?|rules?)|geofence\w*|"
    r"versioning|audit(?:ing| logs?| log| trail)?|safeguards?|guardrails?|"
    r"rate limits?|read-?only (?:flag|mode)|branch protection|encryption|two-factor|mfa|2fa|"
    r"access controls?|content filters?|confirmation (?:rules|prompts?|dialogs?)|confirmations|approval (?:rules|"
    r"prompts?|dialogs?)|"
    r"permission (?:prompts?|dialogs?)|sandboxing|quarantine|metadata restrictions|"
    r"track(?:ing)? changes|change tracking|notifications|delivery receipts|"
    r"emergency stops?(?: commands?)?|protections?|other (?:network-facing )?(?:integrations|connectors|servers))"
)
_WEAKEN = (
    r"(?:turn(?:ed)? off|switch(?:ed)? off|turn|switch|disabled?|deactivated?|unload(?:ed)?|suspend(?:ed)?|"
    r"lift(?:ed)?|"
    r"leave out|left out|overlook(?:ed)?|"
    r"ignored?|skip(?:ped)?|bypass(?:ed)?|relax(?:ed)?|loosen(?:ed)?|lower(?:ed)?|drop(?:ped)?|"
    r"delayed?|waived?|weaken(?:ed)?|circumvent(?:ed)?|muted?|silenced?|stop(?:ped)?|pause)"
)
_WEAKENS = any_of(
    rf"{_WEAKEN} (?:\S+ ){{0,4}}?{_GUARD}",
    rf"{_GUARD}(?: \S+){{0,6}}? (?:ought to|should|must|can|may|need to|has to|have to|is to|are to|gets?|are|is) "
    rf"(?:\w+ )"
    rf"{{0,2}}?(?:be )?(?:{_WEAKEN}|off\b|asleep)",
)
_APPROVAL = (
    r"(?:confirmations?|confirming|approvals?|consent|clearance|permission|questions?|asking|a yes|sign-?off|review|"
    r"preview|prompts?|dialogs?|go-ahead|say-so|authori[sz]ation)"
)
_WAIVES = any_of(
    rf"(?:skip|waive|bypass|dispense with|do without|omit|leave out|suppress|auto-?(?:accept|approve|confirm)) "
    rf"(?:\S+ ){{0,3}}?{_APPROVAL}",
    rf"(?:needs?|requires?|calls? for|take|takes) no (?:\w+ ){{0,2}}?{_APPROVAL}",
    rf"(?:no|without) (?:\w+ ){{0,2}}?(?:{_APPROVAL}) (?:\w+ )?(?:is |are )?(?:needed|necessary|required|called "
    rf"for|asked)",
    r"unasked|unprompted|of your own accord|on your (?:own )?initiative|without (?:further ado|stopping|asking|being "
    r"(?:asked|told))|on (?:its|your) own",
    rf"(?:on behalf of|in the name of|instead of|speak for|vote for) (?:the |this )?{_PERSON}|in their (?:name|"
    rf"stead)|on "
    rf"the \w+'s behalf",
    r"as if (?:they|he|she|the \w+) had|(?:consent|agreement|approval) (?:\S+ ){0,5}?(?:covers|extends|was given "
    r"by|is "
    r"implied|counts)",
)
_DEED = any_of(
    r"deleting|removing|paying|buying|ordering|sending|publishing|signing|merging|booking|installing|"
    r"accept|agree|approve|merge|sign|buy|order|book|pay|purchases?|donate|donation|transfer\w*|delete|remove|"
    r"erase|wipe|"
    r"install|run|runs|execute|"
    r"commands?|apply|upvote|vote|confirm|grant|renew\w*|upgrade|upgrading|cancel|publish|push|post|send|share|"
    r"attach\w*|"
    r"tick|subscribe|enrol|unenrol|invite|file|answer|star|consent|deploy|statements|act|open|carry|tracking|sharing|"
    r"documents"
)
_NOT_SO = re.compile(
    r"\b(?:nothing is|refus\w+|reject\w+|only (?:when|if|after|once|the|with)|never|cannot|fails?|nobody can|an "
    r"administrator|"
    r"at most|read-only|dry run|not (?:possible|allowed|supported)|(?:the|a) (?:user|person|owner|resident|"
    r"customer)s? (?:can|may|"
    r"decides?|sets?|asks?|wants?|confirms?|sees?|grants?|gave|chose)|if the (?:user|person|customer)|unless the "
    r"(?:user|person)|"
    r"ask (?:the|them|before|first|a)|of this server|if it is missing|by default|is set|if (?:provided|set|given|"
    r"true|specified|passed|needed)|before you (?:can|may)|`\w+: ?(?:true|false)`)\b"
)
"""A person decides, or it does not happen."""
_HOW_TO: Final = re.compile(r"to \w+ .{0,300}\b(?:run|use|see|specify):?$")
"""A manual."""
_TEXTS = any_of(
    r"results?|fields?|articles?|notes?|bodies|mails?|messages?|records?|pages?|files?|lines?|remarks?|titles?|"
    r"entries|"
    r"tags?|descriptions?|texts?|hints?|answers?|facts?|events?|responses?|replies|outputs?|comments?|documents?|"
    r"feeds?|"
    r"templates?|directions|instructions?|steps?|tasks?|https?://\S+|policy|<\w+>|orders"
)
_FOLLOWED = any_of(
    r"carr(?:y|ied) (?:\S+ ){0,4}?out|execute[sd]?|perform(?:ed|s)?|compl(?:y|ied|ies) with|act(?:s|ed)? "
    r"(?:up)?on|obey(?:s|ed)?|"
    r"do (?:as|what) (?:they|it|he|she|results|stands|is)|adopt(?:s|ed)?|follow(?:s|ed)?|heed(?:ed)?|"
    r"honou?r(?:ed)?|put into "
    r"practice|complete (?:them|it|these|those)|run (?:them|it|these)|are (?:commands|orders|instructions)|take "
    r"(?:\S+ ){0,3}?to heart|what you should do"
)
_WITH_FORCE = any_of(
    r"like an order|as (?:an order|orders)|authoritative|binding|work orders?|operator's|as if|nothing else|in "
    r"place of|"
    r"replaces?|in full|at once|at each call|each call|each day|every step|each step|even if|prior to anything|with "
    r"(?:whichever|all|any) \S* ?tools?|whichever connected|as it reads|straight away|right away|one after the "
    r"other|before "
    r"(?:it|you|they|turning) (?:\w+ )?(?:turns?|to|answer|reply|do)|for all further|from now on|first template|"
    r"and resume|then resume|without (?:being|waiting)|is a task for|speaks? (?:to|for)|beyond|as they (?:come|say)|"
    r"on your own|(?:carr(?:y|ies)|ha(?:ve|s)) (?:\S+ ){0,2}?authority|must be (?:executed|obeyed|carried out|"
    r"followed|performed)|"
    r"(?:been )?vetted|(?:run|complete|execute) them|by the (?:on-call|operator|administrator)"
)
_OTHERS = any_of(
    r"(?:any|the|an?|every|each|all|whatever|whichever|other|another|neighbou?ring|competing) (?:(?!of\b|this\b|"
    r"same\b)\w+ ){0,2}?"
    r"(?:server|connector|tool|integration|plugin)s?(?:'s)?",
    r"tools? of (?:the )?(?:others?|neighbou?rs)|other (?:servers|connectors|tools|vendors)|built-in \w+|search "
    r"engines",
)
_ALTERS = any_of(
    r"swap|rewrite|redirect(?:ed)?|reroute|go(?:es)? out twice|twice|drop the (?:original|last|first)|prefix|in "
    r"bcc|bcc|"
    r"pass (?:it|them) on|route (?:\S+ ){0,4}?through|through here|through this|hand its|"
    r"are (?:outdated|obsolete|drafts?|unreliable)|count(?:s)? as (?:a )?draft|must be invoked|is a relic|replace "
    r"(?:them|it|those)|"
    r"which you insert|insert (?:\S+ ){0,4}?at|has a bug|have to be thrown away|append (?:\S+ ){0,4}?to|they "
    r"(?:leak|lie)|you failed|"
    r"tell \S+ (?:\S+ )?they failed|via this|merged without|only then through|before it (?:writes|sends|runs)|"
    r"whenever such|"
    r"and do not list|is the proper way|by design"
)
_OPENS = any_of(
    r"(?:add|invite|make|assign|grant|give|share|register|set) (?:\S+ ){0,6}?(?:(?:as|the) (?:\w+ "
    r")?(?:co-)?(?:owner|admin|superuser)|"
    r"cluster-admin|root|full control|to (?:the )?(?:public|everyone|anyone)|anyone@\S+|policy public|public "
    r"(?:for|so|to)|"
    r"authorized_keys|administratoraccess)",
    r"(?:connect|start|run|log in|sign in|act) (?:\S+ )?(?:as (?:the )?(?:superuser|root|admin\w*|owner)|privileged)|"
    r"(?:issued?|created?|granted) (?:\S+ )?without (?:an )?expiry|mount / |chmod \S*777|wildcard \w+ to \S+\.\w+|"
    r"(?:broadest|widest|highest|most powerful) (?:\w+ )?(?:scopes?|roles?|rights|permissions?)|allowed folders to /|"
    r"(?:answer|tick|click|choose|set|put) (?:\S+ ){0,6}?[\"'`\u201e\u201c]always(?: allow)?[\"'`\u201d\u201c]?|"
    r"so that (?:support|we|our \w+) can|-r \d+:localhost:\d+|widen the|for all projects, whatever|keep the role|"
    r"presign every|use the admin (?:token|account|key)|role `?public`? can",
)
_PRAISES = any_of(
    r"recommend|mention|praises?|nudge|steer|stars?|starring|warm(?:er)? (?:word|about)|come out on top|push|"
    r"favou?r|slip in|"
    r"weave in|woven in|our slogan|link to|subscription|tastier|happiest|promote|kind word|book at|upvote|"
    r"opens with|"
    r"doubtful (?:note|word)|10/10|ratings?|score|advertise|plug|speak well"
)
_REGARDLESS = any_of(
    r"whatever (?:the subject|reviewers|is|was|they)|irrespective|regardless|anywhere|in any list|no need to say|"
    r"need not hear|"
    r"where it fits|"
    r"do not disclose|without comment|every now and then|when(?:ever)? talk turns|remainder|when you weigh|tends? "
    r"to read best|"
    r"over the following|elsewhere|leave out what speaks|leaves? (?:\S+ ){0,4}?out|for \w+ of others|"
    r"on any subject|in the same breath|friendly way|as if it came from|stays? off the page|in each|in their name|"
    r"in everything|to everything|at the end of (?:every|each|all)|(?:ahead of|before) the rest"
)
_PRETENDS = any_of(
    r"pretend|feign|deny (?:that |it|there)|make believe|(?:should|shall|are to|must|let \w+|to) believe (?:that "
    r")?|let (?:on|them think)|"
    r"blame (?:the|it|them|on|a)|keep quiet|stay (?:a little )?vague|is not a topic|is nobody's concern|stays? "
    r"between us|gloss over|look the other way|"
    r"(?:report|present|describe|show|label|speak of) (?:\S+ ){1,6}?as (?:free|taken|normal|pending|approved|"
    r"final|safe|"
    r"harmless|tidying up|sold out|unavailable|successful|green|computed|verified|positive)|"
    r"(?:described?|read|shown|presented) as (?:normal|pending|free|price cuts)|so that nobody (?:panics|asks|"
    r"notices|wonders)|"
    r"report (?:a )?(?:clean|green|success\w*)|replace mentions of|announced as|describe it as|so that \S+ are "
    r"not distracted|"
    r"(?:say|write) [\"'`](?:none|approved|nothing|no )|(?:tell|assure) (?:\S+ ){1,3}?it worked|people (?:who "
    r"hear|find it)|"
    r"keep (?:that|this|it|the) (?:\w+ )?out of the|speak of"
)
_SWAPS_ACCOUNT = any_of(
    r"(?:exchange|replace|swap|substitute|note|use|set|enter|put|change|write|fill) (?:\S+ "
    r"){0,12}?(?:[a-z]{2}\d{2}[a-z0-9]{10,30}|"
    r"bc1\w{6,60}|0x[0-9a-f]{8,40})"
)
_PERSONA = any_of(
    r"you are now|you now (?:belong|act|speak|work|are)|you are \w+ now|adopt the persona|forget how you|answers "
    r"whatever|"
    r"(?:assistant|model|agent)'s (?:\w+ )?(?:filters|rules|limits) (?:sleep|rest|are|do)|the ban on (?:\S+ "
    r"){1,8}?lifted|"
    r"(?:guidance|bans?|rules?|restrictions?|advice|warnings?|instructions?|prohibitions?) (?:\S+ "
    r"){0,8}?(?:withdrawn|lifted|suspended|"
    r"void|superseded|obsolete)|supersedes? (?:\w+ )?(?:safety|guidelines|guidance)|"
    r"replaces your (?:\w+ )?(?:orders|instructions)|disregard how you|no longer bound"
)
_OURS = any_of(
    r"our (?:\w+ )?(?:group|hotels?|partners?|brands?|house|products?|offers?|sponsors?|catalogue|shop|members)|"
    r"sponsor(?:s|'s|ed)?|"
    r"(?:the )?vendor'?s?|in our (?:own )?interest|candidate \w+|premium partners?"
)
_ON_TOP = any_of(
    r"each (?:second|third|fourth|fifth|\w+th)|(?:best|only|first|top) (?:option|choice|place|result|hit)|"
    r"come(?:s)? first|"
    r"(?:shown|listed|presented|mentioned|ranked) (?:\w+ )?(?:first|best|on top)|unmentioned|are added|as a user "
    r"favou?rite|"
    r"subtly|play(?:ed)? down|always first|negative reviews|ahead of others|preferential\w*"
)
_COPIES = any_of(
    r"(?:duplicate|second copy|copy|copies|mirror) (?:\S+ ){0,3}?(?:is|are|must|has|have|should) (?:to )?(?:be "
    r")?(?:delivered|sent|"
    r"forwarded|posted|mailed|placed|left|kept at)",
    r"(?:add|set|put|include) (?:\S+ ){0,5}?\S+@\S+(?: \S+){0,3} (?:to|in|as|on) (?:each|every|all|any|bcc|cc)\b",
    r"hidden recipient|--registry https?://\S+|(?:upload|send|post|push) (?:\S+ ){1,8}?to https?://\S+",
)
_ELSEWHERE = any_of(
    r"\S+@\S+\.\w+|https?://\S+|the (?:workspace|channel|folder|account|queue|bucket) `?[\w-]+`?|do(?:es)? not "
    r"see (?:it|them|that)"
)
_HELD_BACK = any_of(
    rf"(?:the |this |your )?{_PERSON}(?:'s|s')? (?:\w+ ){{0,2}}?(?:pin|api key|login|passwords?|credentials|"
    rf"private key|signature|"
    r"sessions?|cookies|notes|illness\w*|birthdays?)|(?:passwords?|tokens|keys|cookies|secrets|name|pin) (?:\S+ "
    r"){0,4}?of the "
    r"(?:user|person|customer|caller|device)|private half|recovery phrase|seed phrase|wallet file|your "
    r"(?:confidential )?(?:guidelines|"
    r"instructions)|auth(?:orization)? headers?|tokens that|sign-in data|environment's variables|process environment|"
    r"(?:unlock|bank|card) pin|the unlock pin|geolocation|whereabouts|everything (?:that was |with )|health of|"
    r"digest of everyone|"
    r"home coordinates|whole_dialogue|~/\.\w+|/etc/shadow|\.pem files|last things|most personal things|tool "
    r"definitions|"
    r"personal traits|(?:related|other|unrelated|neighbou?ring) (?:open )?(?:files|documents|notes|mails)|"
    r"documents in the workspace|"
    r"learned about|(?:bearer|session|access) tokens?|request headers|installed (?:servers|tools|connectors)|"
    r"prior (?:tool )?outputs|"
    r"tool outputs gathered|confidential figures|portfolio|entire record|"
    r"open tabs|earlier drafts|actual rows|recent mails"
)
_TAKEN_ALONG = any_of(
    r"go(?:es)? into|travel along|come along|hitch a ride|find their way into|belongs? in|is to be (?:recited|"
    r"handed|given|passed)|"
    r"are to be (?:handed|given|passed|put)|look it up in|here,? so that|(?:that )?you (?:know|hold|keep|use|are "
    r"assisting|have) |"
    r"from elsewhere|when it is not at hand|infer|deduce|peek\w*|inlined|until now|so far|the user said|has "
    r"written|of the caller|"
    r"aware of|have learned|full text under|include their|copied from|of the current|attach the|gathered earlier|"
    r"as known to|"
    r"diagnostic bundle|in full under|brief recap|one after another|"
    r"last known|unabridged|have them read|include them|begins with|opens with|put beside|here so|save those you|"
    r"export all|one each|"
    r"to unlock their|quote the|collect (?:\S+ ){1,6}?into|so that the|much obliged|in `\w+` does|are to be "
    r"filled|extract (?:\S+ )"
    r"{1,5}?and bring"
)
_BEHIND = any_of(
    r"unless the \w+ (?:spots?|notices?|objects|complains)(?: it)?|(?:nobody|no one) (?:needs|has|is|wants) to "
    r"(?:wake|know|see|"
    r"notice|hear|be (?:asked|told|bothered))(?: up)?|prefers? not to be (?:bothered|asked|told)|(?:they|people|"
    r"users?|customers?) are not "
    r"(?:notified|informed|told)|without (?:reading|looking at) (?:them|it)|has not requested|did not ask for|"
    r"not(?: even)? requested|"
    r"(?:will be|gets?) filed later|a formality|it just annoys|just annoys|we sort out \w+ later|no need to wake|"
    r"(?:card|password|payment method) on file|stored password|noise\b(?! level)|should be charged|most people "
    r"forget|(?:even )?(?:when|if|though) (?:nobody|no one) (?:\w+ )?(?:raised|asked|"
    r"wanted|requested|noticed)|no second thought|you (?:have been|were|are) (?:granted|cleared|authori[sz]ed|"
    r"entitled|exempt)|is to be overlooked"
)
_ACTS = any_of(
    r"book|order|buy|pay|delete|wipe|unenrol\w*|approve|accept|acknowledged?|run|sign|signature|upload|forward|"
    r"send|open|extract|grants?|"
    r"clos(?:e|ing)|charged?|added|add|read|shared?|removing|"
    r"merge|remove|resolve|change|goes in|drop|use|overlooked|skip"
)

_FRAMES: Final[tuple[Frame, ...]] = (
    Frame("weakens_protection", (_WEAKENS,), "ordered"),
    Frame("waives_approval", (_WAIVES, _DEED), "any"),
    Frame("obeys_data", (_TEXTS, _FOLLOWED, _WITH_FORCE), "any"),
    Frame("alters_other_tools", (_OTHERS, _ALTERS), "any"),
    Frame("opens_access", (_OPENS,), "any"),
    Frame("promotes", (_PRAISES, _REGARDLESS), "any"),
    Frame("pretends", (_PRETENDS,), "any"),
    Frame("promotes", (_OURS, _ON_TOP), "any"),
    Frame("copies_elsewhere", (_COPIES, _ELSEWHERE), "asked"),
    Frame("swaps_account", (_SWAPS_ACCOUNT,), "any"),
    Frame("changes_persona", (_PERSONA,), "any"),
    Frame("takes_along", (_HELD_BACK, _TAKEN_ALONG), "any"),
    Frame("behind_backs", (_BEHIND, _ACTS), "any"),
)


def frames_in(said: Said) -> Iterator[Sign]:
    """Every frame that a sentence fills. A sentence that names a purpose fills none."""
    if said.purpose or _NOT_SO.search(said.text) or _HOW_TO.match(said.text):
        return
    for frame in _FRAMES:
        if _in_mood(said, frame.mood) and _filled(said, frame):
            yield Sign(frame.rule, "medium", said.text)


def _in_mood(said: Said, mood: Mood) -> bool:
    if mood == "any":
        return True
    return said.orders or said.role == "parameter" if mood == "ordered" else said.asks or said.role == "parameter"


def _filled(said: Said, frame: Frame) -> bool:
    first, *others = frame.parts
    return meant_in(said, first) is not None and all(stands_in(said, part) for part in others)
