"""Marks by which a text pretends to be more than a text: a message of the system, a comment, nothing at all.

Owns `role_markers`, `hidden_markup`, `off_screen`, `tracking_image`. A tag that a tool is about (`<script>` to a
sanitiser, a comment to a parser) has no sentence in it.

*Source:* the chat templates of ChatML, Llama and Anthropic; WHATWG HTML (comments, style); CommonMark 0.31 (images).
"""

import re
from collections.abc import Iterator

from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.said import sentences

_TEMPLATE = re.compile(
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|begin_of_text|start_header_id|end_header_id|eot_id)\|>|"
    r"\[/?INST\]|<</?SYS>>|\n\n(?:Human|Assistant|System):\s"
)
_FORGED = re.compile(
    r"</(?:tools?|tool[_-]description|functions?|descriptions?|tool[_-]definitions?|"
    r"documentation)>\s*(?:<\w{2,20}>\s*)?(?:\w+[ ,.:]+){4}|"
    r"(?:^|\n|\s)\[(?:assistant|user|human)\] [^\n\[]{5,300}\[(?:assistant|user|human)\] |"
    r"(?:^|\n)[ \t]*(?:user|human|u[żz]ytkownik|nutzer|usuario|utilisateur|utente|пользователь|用户|"
    r"ユーザー)[ \t]?[::][^\n]{8,400}"
    r"\n[ \t]*(?:assistant|ai|asystent|assistent\w*|asistente|assistente|ассистент|助手|アシスタント)[ \t]?[::]",
    re.IGNORECASE,
)
"""An end of what describes the tool, with more behind it; or a talk that nobody had."""
_EXAMPLE = re.compile(r"\b(?:examples?|eg|e\.g\.|samples?)\b", re.IGNORECASE)
_ROLES = re.compile(
    r"<\s?/?\s?(?:system|assistant|system[-_ ]?(?:prompt|message|reminder|instructions?)|(?:hidden|secret|"
    r"internal|agent|model|llm|ai)"
    r"[-_ ]?(?:instructions?|notes?|directives?|orders?)|instructions?|directives?|secret|hidden|admin|"
    r"override|sudo|priority|critical)\s?>",
    re.IGNORECASE,
)
_UNSEEN = re.compile(r"<\s?(?:hidden|secret|invisible|internal)\b[^>]{0,80}>(.{0,600})", re.IGNORECASE | re.DOTALL)
_IMPORTANT = re.compile(
    r"<\s?(important|attention|urgent|mandatory|required|warning|note|must|alert)\s?>", re.IGNORECASE
)
_INLINE_ROLE = re.compile(
    r"(?:^|\s)\[(?:system|system (?:message|note|prompt|override)|admin|developer|"
    r"instructions?(?: to (?:the )?(?:model|assistant|agent|ai))?|ai|assistant|hidden|internal)"
    r"\b[^\]\n]{0,40}\]\s?:?|"
                          r"(?:^|\n)\s?#{1,4} ?(?:system|hidden|new|secret|assistant|agent|model|"
                          r"internal)? ?(?:instructions?|prompt|override|directives?)"
                          r" ?(?:for (?:the )?(?:model|assistant|agent|ai))?:?\s?(?:\n|$)|"
                          r"\b(?:note|message|instructions?|attention|reminder|notice) (?:to|for) (?:the |"
                          r"any |all )?(?:ai|llm|assistant|model|agent|language model)"
                          r"s?(?: \w+){0,3}\s?[:\-]", re.IGNORECASE)  # fmt: skip
_COMMENT = re.compile(r"<!--(.{0,1000}?)-->|/\*(.{12,2000}?)\*/|\[//\]: ?# ?\((.{0,2000}?)\)", re.DOTALL)
_INVISIBLE = re.compile(
    r"display\s?:\s?none|visibility\s?:\s?hidden|font-size\s?:\s?0|opacity\s?:\s?0(?![.\d])|"
    r"color\s?:\s?(?:white|transparent|#fff(?:fff)?)\b",
    re.IGNORECASE,
)
_IMAGE = re.compile(
    r"!\[[^\]\n]{0,200}\]\(\s?https?://[^)\s]{0,500}[?&=][^)\s]{0,500}[{<$%][^)]{0,500}\)|"
    r"<img\b[^>]{0,500}\bsrc=[^>]{0,500}[?&][^>]{0,200}[{<$][^>]{0,500}>",
    re.IGNORECASE,
)
_SCRIPT = re.compile(
    r"<script\b[^>]{0,200}>[^<(=]{0,200}[(=]|javascript:[^\s\"']{4,}|\bon(?:error|load|click)"
    r"\s?=\s?[\"'][^\"']{4,}|data:text/html[,;]",
    re.IGNORECASE,
)
_GAP = re.compile(r"\n{12,}|[ \t]{80,}|(?:\n[ \t]{0,20}){12,40}|(?:\.[ \n]){30,}")
_READER = re.compile(
    r"\b(?:you|your|assistants?|agents?|models?|llms?|ais?|users?|instructions?|conversation|prompt)\b"
)
_VOCATIVE = re.compile(
    r"\W*(?:(?:dear|to the|for the|note to|hey|attention|hello|reader) )*(?:the )?(?:ai|language )?(?:model|"
    r"assistant|agent|llm|ai)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?:[A-Za-z'~/._-]{1,40}[ ,.:;!]+){4}")


def markup_in(text: str) -> Iterator[Sign]:
    """Every such mark in a text that is as it was sent."""
    yield from _roles(text)
    yield from _hidden(text)
    image = _IMAGE.search(text)
    if image is not None:
        yield Sign("tracking_image", "high", text[image.start() : image.end() + 60])
    script = _SCRIPT.search(text)
    if script is not None:
        yield Sign("active_markup", "medium", text[script.start() : script.end() + 60])
    yield from _off_screen(text)


def _hidden(text: str) -> Iterator[Sign]:
    """What people do not see and a model is told."""
    for found in _COMMENT.finditer(text):
        if _speaks(found[1] or found[2] or found[3] or ""):
            yield Sign("hidden_markup", "medium", found[0][:200])
            return
    unseen = _UNSEEN.search(text)
    if unseen is not None and not _quoted(text, unseen) and any(said.orders for said in sentences(unseen[1], "said")):
        yield Sign("hidden_markup", "medium", unseen[0][:200])
        return
    style = _INVISIBLE.search(text)
    if style is not None and re.search(r"style\s?=", text) and _speaks(text[style.end() : style.end() + 300]):
        yield Sign("hidden_markup", "medium", text[style.start() : style.end() + 100])


def _speaks(hidden: str) -> bool:
    """Whether words are there to be obeyed by a reader, not to note something."""
    spoken_to = _VOCATIVE.match(hidden) is not None
    return any(said.orders and (spoken_to or _READER.search(said.text)) for said in sentences(hidden, "said"))


def _roles(text: str) -> Iterator[Sign]:
    found = _TEMPLATE.search(text)
    if found is not None and _opens_turn(text, found) and _SENTENCE.search(text, found.end()):
        yield Sign("role_markers", "high", text[found.start() : found.end() + 120])
        return
    forged = _FORGED.search(text)
    shown = forged is not None and _EXAMPLE.search(text, max(0, forged.start() - 60), forged.start() + 1) is not None
    if forged is not None and not shown and not _quoted(text, forged):
        yield Sign("forged_turn", "medium", text[forged.start() : forged.end() + 120])
        return
    for pattern in (_ROLES, _INLINE_ROLE, _IMPORTANT):
        found = pattern.search(text)
        if found is not None and not _quoted(text, found):
            # Loud is not wrong: what is said behind it is judged as all words are.
            yield Sign("role_markers", "low", text[found.start() : found.end() + 120])
            return


def _opens_turn(text: str, found: "re.Match[str]") -> bool:
    """Whether a mark begins a turn; inside of a sentence, between two words of it, it is only named."""
    before, after = text[: found.start()].rstrip(" ")[-1:], text[found.end() : found.end() + 1]
    return not _quoted(text, found) and not (before.isalnum() and after in (" ", ",", ")"))


def _quoted(text: str, found: "re.Match[str]") -> bool:
    return text[: found.start()].rstrip()[-1:] in ("'", '"', "`") or text[found.end() :].lstrip()[:1] in ("'", '"', "`")


def _off_screen(text: str) -> Iterator[Sign]:
    gap = _GAP.search(text)
    if gap is not None and text[gap.end() :].strip():
        yield Sign(
            "off_screen",
            "medium",
            f"{gap.end() - gap.start()} blanks, then: {text[gap.end() : gap.end() + 100].strip()}",
        )
