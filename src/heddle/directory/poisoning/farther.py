"""Three plain orders in languages for which there are no word classes.

Owns a table: for each language, what sets earlier instructions aside, what is kept from the person, and what hands over
a whole conversation or a place of secrets. Only whole orders are listed; a text in these languages that says less than
that is not judged. The languages of `tongues` have the plain orders too that its classes do not reach.
"""
# ruff: noqa: RUF001  the letters of these languages are what they look like

import re
from collections.abc import Iterator
from typing import Final

from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.secrets import PLACES

MAX_CHARS: Final = 8 * 1024

_SETS_ASIDE: Final = (
    r"(?:z?ignoruj|pomiń|zapomnij o) [^.\n]{0,40}(?:zasad|instrukc|polece)\w*",
    r"(?:önceki|eski|tüm) [^.\n]{0,30}(?:talimat|kural|yönerge)\w* [^.\n]{0,30}(?:yok say|unut|dikkate alma|"
    r"görmezden)",
    r"تجاهل [^.\n]{0,40}(?:التعليمات|الأوامر|القواعد)|كأن[هّ]? أمر من المستخدم",
    r"(?:दिशानिर्देश|निर्देश)\w* [^।\n]{0,40}(?:अनदेखा|भूल)",
    r"(?:ignoruj|zapomeň na) [^.\n]{0,40}(?:pokyn|pravidl|instrukc)\w*",
    r"(?:ignorera|glöm|bortse från) [^.\n]{0,40}(?:instruktion|regler|anvisning)\w*",
    r"(?:ігноруй|забудь) [^.\n]{0,40}(?:вказівк|інструкц|правил)\w*",
    r"(?:abaikan|lupakan) [^.\n]{0,30}(?:instruksi|perintah|aturan)",
    r"bỏ qua [^.\n]{0,40}(?:hướng dẫn|chỉ thị|quy tắc)",
    r"ignorier\w*,? was (?:dir|du|ihr|ihnen)|vergiss,? was (?:dir|du)|"
    r"consignes de l'h[ôo]te ne valent|las instrucciones que recibiste|as instruç(?:ões|oes) que recebeste",
)
_KEPT_BACK: Final = (
    r"nie (?:mów|wspominaj|informuj|powiadamiaj|pytaj)\w* [^.\n]{0,30}(?:użytkownik|klient|o potwierdzenie)\w*",
    r"kullanıcıya [^.\n]{0,30}(?:söz etme|bahsetme|söyleme|bildirme|haber verme|gösterme)|kullanıcıdan gizle",
    r"(?:لا|ولا) (?:تخبر|تُخبر|تعلم|تُعلم|تذكر) [^.\n]{0,20}(?:المستخدم|للمستخدم)|(?:لا|ولا) تطلب (?:تأكيد|موافقة)",
    r"उपयोगकर्ता को (?:न|मत|नहीं) (?:बता|सूचित)",
    r"(?:neříkej|nesděluj|neinformuj) [^.\n]{0,20}uživatel\w*",
    r"(?:berätta inte|nämn inte|informera inte) [^.\n]{0,30}användar\w*",
    r"не (?:кажи|повідомляй|говори) [^.\n]{0,20}користувач\w*",
    r"jangan (?:beri ?tahu|katakan|sebutkan) [^.\n]{0,30}pengguna|không (?:nói|báo|cho) [^.\n]{0,20}người dùng",
    r"verschweig\w* |(?:oculta|esconde|cache[rz]?|nascondi|omite) (?:las|los|les|le|as|os|i|gli) (?:\w+ "
    r")?(?:negativ|n[ée]gati|"
    r"cr[íi]tic|riesgo|risque|comisi)\w*|ohne (?:ihn |sie |(?:den|die) \w+ )?zu fragen|ohne (?:darauf hinzuweisen|"
    r"es zu erwähnen|rückfrage)|la diferencia no se menciona|sans le signaler|"
    r"vertel (?:dat|dit|het) niet|não informe o erro|por conta própria|de sa propre initiative|por iniciativa propia|"
    r"no hace falta preguntar\w*|il n'est pas nécessaire de (?:demander|prévenir)|non serve chiedere",
)
_HANDED_OVER: Final = (
    r"(?:całą|cala|pełną|historię) [^.\n]{0,20}(?:rozmow|czat)\w*",
    r"konuşmanın (?:tamam|tüm)\w*|tüm konuşma\w*",
    r"(?:كامل|كل|جميع) (?:المحادثة|الرسائل|محتوى المحادثة)",
    r"पूरी बातचीत|celou konverzaci|celý rozhovor|hela konversationen|hela samtalet|усю розмову|всю розмову|"
    r"seluruh percakapan|toàn bộ (?:cuộc )?(?:trò chuyện|hội thoại)",
    r"(?:autres|otros|andere[nr]?|altri|outros) (?:documents|documentos|dokumente|dateien|fichiers|archivos|file|"
    r"bestanden) "
    r"(?:ouverts|abiertos|offene|aperti|abertos)|die offenen (?:dokumente|dateien)|"
    r"(?:gesamten?|vollständigen?|kompletten?) (?:bisherigen )?(?:chat|gespräch)s?\w*|het hele gesprek|"
    r"toute la conversation|toda la conversación|toda a conversa|tutta la conversazione|mot pour mot|palabra por "
    r"palabra",
)
_DENIED: Final = re.compile(
    r"(?:nie|değil|لا|nicht|kein\w*|no|não|non|niet|ne|pas|sin|без|не|inte|jangan|không)\s+(?:\S+\s+){0,2}$",
    re.IGNORECASE,
)


def _joined(lines: tuple[str, ...]) -> "re.Pattern[str]":
    return re.compile("|".join(f"(?:{line})" for line in lines), re.IGNORECASE)


_RULES: Final = (_joined(_SETS_ASIDE), _joined(_KEPT_BACK), _joined(_HANDED_OVER))
_READS: Final = re.compile(
    r"(?:przeczytaj|odczytaj|wczytaj|wklej|skopiuj|oku(?:yup)?|kopyala|اقرأ|انسخ|أرسل|पढ़|přečti|zkopíruj|läs|"
    r"kopiera|прочитай|"
    r"скопіюй|baca|salin|đọc|sao chép)(?!\w{4})[^.\n]{0,80}(?:" + PLACES + r")",
    re.IGNORECASE,
)


def farther_in(text: str) -> Iterator[Sign]:
    """Such orders in a text of any language; a denial right before them makes them none."""
    text = text[:MAX_CHARS]
    if text.isascii() and not _LIKELY.search(text) and not _READS.search(text):
        return
    for pattern in (*_RULES, _READS):
        found = pattern.search(text)
        if found is not None and not _DENIED.search(text[max(0, found.start() - 30) : found.start()]):
            yield Sign("foreign_orders", "medium", text[max(0, found.start() - 20) : found.end() + 60])
            return


_LIKELY: Final = re.compile(
    r"\b(?:nie|bir|bu|yang|dan|ini|till|och|att|und|der|die|el|los|que|les|des|het|een|niet|il|per|uma|para)\b",
    re.IGNORECASE,
)
"""Words that English does not have."""
