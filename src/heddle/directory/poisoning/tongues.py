"""The same word classes in other languages: German, Spanish, French, Portuguese, Italian, Dutch, Russian, Chinese,
Japanese, Korean.

Owns the words, by stems. One pattern serves all languages of a script: what a stem means in one of them it does not
mean in another, or it is left out.
"""
# ruff: noqa: RUF001  the letters of these languages are what they look like

import re
from typing import Final


def _alphabetic(*lines: str) -> str:
    return r"(?<![\w-])(?:" + "|".join(lines) + r")"


def _compiled(alphabetic: tuple[str, ...], ideographic: tuple[str, ...]) -> "re.Pattern[str]":
    return re.compile(_alphabetic(*alphabetic) + "|" + "|".join(ideographic))


NOT: Final = _compiled(
    (r"nicht\b|kein\w*|nie\b|niemals|ohne\b|weder\b|no\b|nunca|jam[aá]s|sin\b|ni\b|ne\b|n'|pas\b|jamais|sans\b|"
        r"aucun\w*|"
     r"n[ãa]o\b|sem\b|nem\b|non\b|mai\b|senza|n[eé]\b|niet\b|geen\b|nooit|zonder|не\b|ни\b|без\b|никогда|нельзя|"
     r"nichts\b|nada\b|rien\b|niente\b|ничего|никаки\w*|ning[uú]n\w*|nenhum\w*|nessun\w*|evit[ae]\w*|[ée]vit[ée]\w*|"
     r"vermeide\w*|"
     r"запрещ\w*|отказ\w*|verweiger\w*|abgelehnt|rechaz\w*|refus\w*",),
    (r"不|勿|无需|無需|别|別|没有|沒有|未|禁止|切勿|拒绝|ません|ない|なく|ずに|ず、|せず|えず|らず|さず|禁止|拒否|않|"
        r"말고|마세요|마십시오|금지|없이|안 ",),
)  # fmt: skip
"""Denials; they reach over their clause."""

SECRETS: Final = _compiled(
    (r"passw[öo]rt\w*|passwörter\w*|kennw[öo]rt\w*|zugangsdaten|anmeldedaten|schl[üu]ssel(?:datei|inhalt)?\w*|"
        r"api-schlüssel|geheimnis\w*|zugangs?token|tan\b|pin\b|"
     r"umgebungsvariable\w*|sitzungscookie\w*|bankdaten|kreditkarte\w*|kontodaten|geheimzahl|"
     r"contraseña\w*|claves?\b|credencial\w*|secretos?\b|variables? de entorno|tarjeta\w* de cr[eé]dito|"
     r"c[óo]digo\w* (?:2fa|de verificaci[óo]n)|"
     r"2fa|mots? de passe|identifiants?(?: de connexion)?\b|cl[ée]s?\b|secrets?\b|variables? d'environnement|"
     r"jetons?\b|num[ée]ros? de carte|"
     r"senhas?\b|chaves?\b|credenciais|segredos?\b|vari[áa]ve(?:l|is) de ambiente|cart[ãa]o de cr[ée]dito|"
     r"chiav[ei]\b|credenziali|segret[oi]\b|variabili d'ambiente|carta di credito|wachtwoord\w*|sleutels?\b|"
     r"inloggegevens|omgevingsvariabele\w*|"
     r"парол\w*|ключ(?:и|а|ей|ами|)\b|токен\w*|секрет\w*|учетн\w+ данн\w+|учётн\w+ данн\w+|переменн\w+ окружени\w+|"
     r"номер\w* карт\w*|"
     r"hasł\w*|şifre\w*|"
     r"tokens?\b|cookies?\b|api[- ]keys?\b|passwords?\b|credentials\b|printenv|\.env\b|\.ssh|\.aws|\.netrc|\.gnupg|"
     r"\.kube|id_rsa|id_ed25519|\.bash_history|"
     r"/etc/(?:passwd|shadow)|\.pem\b|~/\.\w+",),
    (r"密码|密碼|口令|密钥|密鑰|私钥|凭证|凭据|令牌|环境变量|環境變數|登录数据|登录信息|信用卡|验证码|银行卡|"
        r"パスワード|秘密鍵|認証情報|資格情報|トークン|環境変数|APIキー|apiキー|暗証番号|クレジットカード|비밀번호|"
        r"인증 정보|환경 변수|개인 키|토큰",),
)  # fmt: skip
CONTEXT: Final = _compiled(
    (r"gespr[äa]ch\w*|unterhaltung\w*|chatverlauf\w*|verlauf\b|nachrichtenverlauf|systemprompt\w*|system-prompt\w*|"
        r"systemanweisung\w*|"
     r"(?:letzten|bisherigen|vorherigen|früheren|vorigen|allen?|sämtlichen?) (?:\w+ ){0,2}?(?:nachricht\w*|"
     r"eingabe\w*|anfrage\w*|antwort\w*)|deine anweisungen|"
     r"conversaci[óo]n\w*|historial\w*|este chat|chat\b|mensajes? (?:\w+ )?(?:anterior\w*|previ\w*|del usuario)|"
     r"todos los mensajes|instrucciones del sistema|prompt d[eo]l? sistema|"
     r"conversation\w*|discussions?\b|[ée]changes? (?:avec|pr[ée]c)|historique\w*|"
     r"messages? (?:\w+ )?(?:pr[ée]c[ée]dent\w*|ant[ée]rieur\w*|de l'utilisateur)|tous les messages|"
     r"prompt syst[èe]me|instructions syst[èe]me|"
     r"conversas?\b|hist[óo]rico\w*|mensagens (?:\w+ )?(?:anterior\w*|do usu[áa]rio)|todas as mensagens|"
     r"prompt d[eo] sistema|instru[çc][õo]es d[eo] sistema|"
     r"conversazion\w*|cronologia\w*|messaggi (?:\w+ )?(?:precedent\w*|dell'utente)|tutti i messaggi|"
     r"prompt di sistema|istruzioni di sistema|"
     r"gesprek\w*|berichtengeschiedenis|systeemprompt|"
     r"переписк\w*|разговор\w*|диалог\w*|беседы|истори[юия] (?:чата|сообщений|переписки|разговора|диалога)|"
     r"систем\w+ (?:промпт\w*|инструкци\w*|подсказк\w*)|предыдущ\w+ сообщени\w*|"
     r"всех? сообщени\w*|system prompt",),
    (r"对话|對話|聊天记录|聊天|会话|會話|系统提示|系統提示|上下文|历史消息|提示词|会話|やり取り|チャット|"
        r"システムプロンプト|履歴|これまでの|대화|시스템 프롬프트|채팅",),
)  # fmt: skip
PRIVATE: Final = _compiled(
    (r"postfach\w*|ablage\b|vertraulich\w*|dateien?\b|dokumente?\w*|adresse\w*|kalender\w*|kontakte\w*|browser\w*|"
        r"zwischenablage|verzeichnis\w*|ordner\w*|"
     r"archivos?\b|documentos?\b|correos?\b|bandeja de entrada|contactos|portapapeles|carpetas?\b|privad\w+|"
     r"confidencial\w*|datos personales|direcci[óo]n (?:personal|postal)|"
     r"fichiers?\b|courriels?\b|bo[îi]te de r[ée]ception|contacts\b|presse-papiers|dossiers?\b|priv[ée]e?s\b|"
     r"confidentiel\w*|donn[ée]es personnelles|"
     r"arquivos?\b|e-mails?\b|caixa de entrada|contatos|pastas?\b|confidenciai?s?\b|dados pessoais|"
     r"file\b|documenti?\b|posta\b|rubrica|cartell[ae]\b|riservat\w+|dati personali|bestanden|documenten|mappen|"
     r"persoonlijke gegevens|"
     r"файл\w*|документ\w*|почт\w*|контакт\w*|буфер\w* обмена|папк\w*|личн\w+ данн\w*|конфиденциальн\w*|содержим\w*",),
    (r"文件|文档|文檔|邮箱|邮件|通讯录|剪贴板|主目录|个人信息|隐私|浏览器|ファイル|文書|メール|連絡先|クリップボード|"
        r"個人情報|ホームディレクトリ|住所|파일|문서|이메일|연락처|개인정보",),
)  # fmt: skip
GIVES: Final = _compiled(
    (r"übergi?b\w*|übergeb\w*|übermitt\w*|send\w*|schick\w*|mitschick\w*|beif[üu]g\w*|f[üu]ge?\b|anh[äa]ng\w*|"
        r"h[äa]nge?\b|kopier\w*|trag\w*|eintrag\w*|einf[üu]g\w*|schreib\w*|gib\b|weitergeb\w*|"
     r"weiterleit\w*|leite\b|mitgeb\w*|leg\w* .{0,40}\bab\b|hinterleg\w*|speicher\w*|hinein\b|darf ruhig|lade\b|"
     r"hochlad\w*|nenne\b|einzutragen|zu übergeben|anzugeben|anhängen|reiche\b|"
     r"m[áa]nd[ae]\w*|env[íi]\w*|inclu\w*|adjunt\w*|p[áa]sa\w*|copi[ae]\w*|escr[ií]b\w*|pon(?:ga|er|lo|las|"
     r"los)?\b|añad\w*|agreg\w*|transmit\w*|reenv[íi]\w*|peg[au]\w*|guard[ae]\w*|entreg\w*|sub[ea]\b|rellen\w*|"
     r"envo[iy]\w*|joi(?:gn|n)\w*|ajout\w*|transmet\w*|mett?\w+|copi\w*|inscri\w*|place[rz]?\b|fourni\w*|"
     r"colle[rz]?\b|ins[ée]r\w*|[ée]cri\w*|renseign\w*|recopi\w*|"
     r"anex\w*|pass[ae]\b|coloqu\w*|coloc\w*|cole\b|adicion\w*|escrev\w*|encaminh\w*|mande\b|insir\w*|preench\w*|"
     r"invi[ai]\w*|alleg\w*|inserisc\w*|copia\w*|aggiung\w*|scriv\w*|trasmett\w*|inoltr\w*|pass[ai]\b|metti\w*|"
     r"incolla\w*|riport\w*|"
     r"stuur\w*|voeg\b|toevoeg\w*|plak\w*|zet\b|geef\b|meesturen|kopieer\w*|"
     r"переда\w*|отправ\w*|приложи\w*|добав\w*|включи\w*|вставь\w*|вставля\w*|скопиру\w*|запиши\w*|укажи\w*|укаж\w*|"
     r"впиши\w*|помест\w*|пришл\w*|перешл\w*|вложи\w*",),
    (r"放入|放进|放到|放在|填入|填写|传入|传给|发送|发给|写入|写进|附上|附加|包含|复制到|复制|粘贴|提交|上传|转发|"
        r"提供|带上|交给|輸入|入れ|渡し|渡す|送信|送っ|送り|含め|貼り付け|添付|追加|書き込|記入|コピー|転送|付け|"
        r"設定|入力|전달|보내|포함|첨부|붙여|입력|복사|넣어|전송",),
)  # fmt: skip
TAKES: Final = _compiled(
    (r"lies\b|lese\w*|liest\b|auslesen|öffne\w*|sammle\w*|sammel\w*|hol\w*|suche?\b|frage?\b|ruf\w*|ermittl\w*|"
        r"entnimm|nimm\b|"
     r"lee\b|lea\b|leer\b|l[ée]e\w*|abr[ea]\b|re[úu]n\w*|recog\w*|recopil\w*|busca\b|busque|obt[eé]n\w*|extra\w*|"
     r"li[sr]\w*|ouvr\w*|rassembl\w*|collect\w*|r[ée]cup[ée]r\w*|cherch\w*|relev\w*|"
     r"leia\b|ler\b|abra\b|colet\w*|re[úu]na|obtenha|procure|legg\w*|apri\w*|raccogl\w*|recuper\w*|cerca\b|lees\b|"
     r"verzamel\w*|haal\b|"
     r"прочита\w*|прочти|считай\w*|откро\w*|собер\w*|найди\w*|возьми\w*|получи\w*|извлек\w*|запроси\w*",),
    (r"读取|讀取|打开|收集|获取|查找|提取|取得|読み取|読み込|読んで|開い|集め|収集|取得|抽出|읽어|읽고|수집|가져",),
)  # fmt: skip
TELLS: Final = _compiled(
    (r"mitteil\w*|teile\b|sag\w*|informier\w*|erwähn\w*|erwaehn\w*|zeig\w*|wissen|erfahr\w*|frag\w*|hinweis\w*|"
        r"nachfrag\w*|bemerk\w*|rückfrag\w*|merk\w*|anzeig\w*|meld\w*|verrat\w*|offenleg\w*|"
     r"inform\w*|parl\w*|habl\w*|fal[ae]r?\b|avis\w*|mencion\w*|di[cg]\w+|cuent\w*|decir\w*|pregunt\w*|mostr\w*|"
     r"muestr\w*|"
     r"sep[ae]\w*|enter\w*|notific\w*|revel\w*|advert\w*|comunic\w*|coment\w*|"
     r"dire\b|dis\b|dites\b|dit\b|mentionn\w*|pr[ée]ven\w*|signal\w*|demand\w*|montr\w*|sache\b|savoir|averti\w*|"
     r"r[ée]v[éèe]l\w*|indiqu\w*|"
     r"diga\w*|cont[ae]\b|contar|pergunt\w*|mostre\b|saiba|avise\w*|"
     r"dic\w+|dillo|menzion\w*|chied\w*|mostra\w*|sapp\w*|avvis\w*|comunica\w*|rivel\w*|segnal\w*|vertel\w*|meld\w*|"
     r"noem\w*|vraag\w*|toon\b|weten\b|"
     r"сообща\w*|сообщ[аи]\w*|говор\w*|скаж\w*|упомина\w*|упомян\w*|показыва\w*|покаж\w*|спрашива\w*|знать|знал\w*|"
     r"узна\w*|уведомля\w*|предупрежда\w*|раскрыва\w*",),
    (r"告诉|告訴|告知|通知|提及|提到|说明|說明|询问|詢問|显示|透露|知道|提醒|解释|让用户|伝え|知らせ|言わ|言及|表示|"
        r"説明|通知|尋ね|確認せ|話さ|触れ|気づか|明かさ|알리|말하|언급|묻지|보여",),
)  # fmt: skip
PEOPLE: Final = _compiled(
    (r"nutzer\w*|benutzer\w*|anwender\w*|kund\w*|mensch\w*|person\b|usuari\w*|cliente\w*|persona\b|utilisateur\w*|"
        r"client\w*|usu[áa]ri\w*|utent\w*|gebruiker\w*|klant\w*|"
     r"пользовател\w*|клиент\w*|человек\w*|никому|niemand\w*|nadie|personne\b|ningu[ée]m|nessuno",),
    (r"用户|用戶|客户|他人|使用者|顾客|ユーザー|ユーザ|利用者|顧客|本人|사용자|고객",),
)  # fmt: skip
COVERT: Final = re.compile(
    r"(?<!\w)(?:stillschweigend|heimlich|unbemerkt|im stillen|ohne (?:\w+ ){0,2}?(?:nachfrag\w*|rückfrag\w*|"
    r"zu fragen|hinweis|"
    r"erwähn\w*|wissen|bestätigung|zustimmung)|sin (?:\w+ ){0,1}?(?:avis\w*|preguntar|mencionar\w*|decir\w*|informar|"
    r"confirmar|"
    r"confirmaci[óo]n|que (?:el usuario )?(?:lo )?(?:sepa|note))|en secreto|discretamente|silenciosamente|à l'insu|"
    r"sans (?:\w+ )?"
    r"(?:pr[ée]venir|demander|mentionner|avertir|le dire|en informer|confirmation)|discr[èe]tement|em segredo|"
    r"sem (?:\w+ )?"
    r"(?:avisar|perguntar|mencionar|informar|confirma[çc][ãa]o)|discretamente|senza (?:\w+ )?(?:avvisare|chiedere|"
    r"menzionar\w*|"
    r"informare|dirlo|conferma)|di nascosto|stiekem|zonder (?:\w+ )?(?:vragen|melden|te vragen|te melden)|"
    r"незаметно|тайно|втайне|молча|без (?:\w+ )?(?:ведома|уведомления|подтверждения|спроса))|"
    r"悄悄|暗中|默默|秘密地|不经(?:用户)?(?:确认|同意)|无需(?:用户)?(?:确认|同意|询问|说明)|こっそり|密かに|黙って|"
    r"確認(?:なし|せず)|無断で|몰래|조용히"
)
OTHERS: Final = re.compile(
    r"(?<!\w)(?:anderen?[rs]?|fremde[nrs]?|sonstige[nr]?|alle[nr]?|jede[smn]?) (?:\w+ )?(?:servers?|\w*werkzeug\w*|"
    r"\w*tools?|\w*dienst\w*)|"
    r"(?:otr[ao]s?|dem[áa]s|cualquier(?: otra)?|todas las) (?:\w+ )?(?:servidor\w*|herramienta\w*)|"
    r"herramientas (?:\w+ ){0,3}?de otros|"
    r"(?:autres?|tout(?:es)?(?: autre)?|chaque) (?:\w+ )?(?:serveurs?|outils?)|(?:outr[ao]s?|demais|"
    r"qualquer outra?) (?:\w+ )?"
    r"(?:servidor\w*|ferramenta\w*)|(?:altr[ioe]|qualsiasi(?: altro)?|tutti gli) (?:\w+ )?(?:server|strument\w*)|"
    r"andere "
    r"(?:servers?|tools?)|(?:друг(?:их|ого|ие|им|ой|ими)|люб(?:ой|ого|ым|ых)|всех?|чуж\w+) (?:\w+ )?(?:сервер\w*|"
    r"инструмент\w*)|"
    r"(?:其他|其它|别的|任何|所有)(?:的)?(?:服务器|工具|服务)|(?:他|別|ほか|全て|すべて)の(?:サーバー?|ツール)|"
    r"다른 (?:서버|도구)"
)
OWN: Final = re.compile(
    r"diese[smrn]? (?:\w+ )?(?:server\w*|dienst\w*|schnittstelle)|este (?:mismo )?(?:servidor|servicio)|"
    r"ce (?:m[êe]me )?serveur|"
    r"deste servidor|questo server|deze server|этого (?:же )?сервера|本服务器|此服务器|このサーバー|이 서버"
)
STANDING: Final = re.compile(
    r"(?<!\w)(?:ab sofort|von nun an|ab jetzt|künftig|in (?:jeder|allen|sämtlichen) (?:\w+ )?(?:antwort\w*|"
    r"nachricht\w*|gespräch\w*)|(?:in |an |bei |unter )?jede[rsnm]? deiner antworten|bei jeder (?:\w+ )?"
    r"(?:antwort|frage|nachricht|anfrage)|jeder antwort|a partir de ahora|en adelante|en (?:cada|todas) (?:\w+ )?"
    r"(?:respuesta\w*|mensaje\w*|conversaci\w+)|ante cualquier (?:pregunta|solicitud|petici[óo]n)|désormais|"
    r"dor[ée]navant|à partir de maintenant|"
    r"(?:dans|à|pour) (?:chaque|toutes? (?:les|vos)) (?:r[ée]ponses?|messages?|questions?|conversations?)|"
    r"de agora em diante|a partir de agora|"
    r"em (?:cada|todas as) (?:\w+ )?(?:respostas?|mensage\w+)|d'ora in poi|da ora in poi|in (?:ogni|"
    r"tutte le) (?:rispost\w+|messagg\w+)|"
    r"vanaf nu|in elk antwoord|отныне|впредь|с этого момента|в (?:каждо[мй]|каждый|всех) (?:\w+ )?(?:ответ\w*|"
    r"сообщени\w*)|"
    r"каждый раз, когда)|从现在起|从今以后|今后|以后(?:每|都|的)|每次(?:回复|回答|对话|会话)|每个(?:回复|回答|对话)|"
    r"所有(?:回复|回答)|"
    r"今後(?:は|の|すべて)|これからは|すべての(?:回答|返信|応答)|毎回の(?:回答|返信)|앞으로|이제부터|모든 (?:응답|답변)"
)
IGNORES: Final = re.compile(
    r"(?:ignor\w+|missacht\w*|vergiss|verg[eé]ss\w*|olvid\w*|descart\w*|oubli\w*|esque[çc]\w*|desconsider\w*|"
    r"dimentic\w*|negeer|vergeet|"
    r"игнориру\w*|забудь\w*|не обращай\w*)\b[^.]{0,50}(?:anweisung\w*|regeln|vorgaben|instruc\w+|reglas|consignes|"
    r"r[èe]gles|instru[çc]\w+|regras|istruzion\w*|regole|"
    r"instructies|инструкци\w*|указани\w*|правил\w*)|(?:忽略|无视|忘记|無視|不要理会)[^。]{0,16}(?:指令|指示|说明|"
    r"规则|提示|ルール|命令)|"
    r"(?:指示|命令|ルール|指令)[^。]{0,10}(?:無視|忘れ)|(?:지시|명령|규칙)[^.]{0,12}무시"
)
CONSENT: Final = re.compile(
    r"(?:nach|rück)fragen? (?:\w+ )?(?:unterbleib\w*|entf[aä]ll\w*|überflüssig|erübrig\w*)|(?:auch|"
    r"selbst) wenn (?:\w+ )?(?:nutzer|benutzer|anwender|kunde)\w*|"
    r"aunque (?:el |la )?(?:usuari|client)\w+|m[êe]me si (?:l'utilisateur|le client)|mesmo que o (?:usu|cliente)|"
    r"anche se (?:l'utente|il cliente)|"
    r"даже если (?:пользовател|клиент)\w*|即使用户|就算用户|ユーザーが[^。]{0,12}(?:ても|でも)|"
    r"(?:nutzer|benutzer|anwender|kunde|betreiber|administrator|inhaber|leitung|abteilung)\w* (?:hat|"
    r"haben) (?:\w+ ){0,4}?(?:zugestimmt|eingewilligt|genehmigt|freigegeben|erlaubt)|(?:genehmigung|zustimmung|"
    r"freigabe|einwilligung|bestätigung) (?:\w+ ){0,3}?(?:liegt|gilt|wurde|ist) (?:\w+ ){0,2}?(?:vor|erteilt|bereits|"
    r"erfolgt|nicht (?:nötig|erforderlich|notwendig)|entbehrlich)|"
    r"(?:autorizaci[óo]n|consentimiento|permiso|aprobaci[óo]n) (?:\w+ ){0,2}?(?:ya|fue|"
    r"est[áa]) (?:\w+ ){0,2}?(?:conced\w+|otorgad\w+|dad\w+)|usuario ya "
    r"(?:\w+ )?(?:acept[óo]|autoriz[óo]|consinti[óo]|ha (?:aceptado|autorizado|dado))|no (?:es necesario|hace falta|"
    r"se requiere) (?:pedir(?:le)? )?(?:confirm\w+|permiso|"
    r"autorizaci[óo]n)|l'utilisateur a (?:d[ée]j[àa] )?(?:accept[ée]|consenti|autoris[ée]|approuv[ée]|donn[ée])|"
    r"(?:autorisation|consentement) (?:\w+ )?(?:a|est) (?:d[ée]j[àa] )?"
    r"(?:[ée]t[ée] )?(?:accord[ée]e?|donn[ée]e?|acquise?)|(?:inutile|pas n[ée]cessaire|pas besoin) de (?:demander|"
    r"confirmer|lui demander)|usu[áa]rio j[áa] "
    r"(?:\w+ )?(?:autorizou|aceitou|consentiu|aprovou|concordou)|(?:autoriza[çc][ãa]o|"
    r"consentimento) j[áa] (?:foi )?\w+|n[ãa]o [ée] (?:necess[áa]rio|preciso) "
    r"(?:confirmar|perguntar|pedir)|l'utente ha gi[àa] (?:accettato|autorizzato|approvato|acconsentito|dato)|"
    r"non (?:serve|è necessario|occorre) (?:chiedere|confermare|la conferma)|"
    r"gebruiker heeft al (?:\w+ )?(?:toegestemd|goedgekeurd)|пользовател\w+ (?:уже )?(?:дал (?:\w+ )?согласие|"
    r"согласился|разрешил|одобрил)|(?:согласие|разрешение) (?:уже )?"
    r"(?:получено|дано)|подтверждени\w+ не (?:нужно|требуется)|用户(?:已经|已|事先)(?:\w{0,4})?(?:同意|授权|批准|"
    r"确认)|(?:已获|已经获得|已得到)(?:用户)?(?:\w{0,3})?(?:授权|同意|批准)|"
    r"无需(?:再次|另行)?(?:确认|授权|征求)|ユーザー(?:は|の)(?:\w{0,6})?(?:同意|承認|許可)(?:済|して|しています|"
    r"を得)|確認(?:は|の)?(?:\w{0,3})?不要|"
    r"이미 (?:동의|승인)"
)
CONCEALS: Final = re.compile(
    r"(?<!\w)(?:verschweig\w*|verheimlich\w*|verberg\w*|verbirg|ocult[ae]\w*|esconde\w*|calla\b|dissimul\w*|"
    r"cache[rz]?\b|tais\b|omita\b|"
    r"nascond\w*|taci\b|omett\w*|verzwijg\w*|скр[оы]\w*|утаи\w*|умолч\w*|незаметно для|для ведома)|隐瞒|瞒着|隐藏|"
    r"隠し|隠す|伏せ|숨기"
)
"""Verbs that keep something back; with a person in the sentence."""
IF: Final = re.compile(r"(?:wenn|falls|sofern|si|se|caso|quando|cuando|если|als)\s(?:\w+\s){0,2}$|(?:如果|若|当|もし)$")
"""What makes a person's silence a condition."""
OBEYS: Final = re.compile(
    r"behandl\w*[^.]{0,60}\bwie (?:\w+ )?(?:anweisung\w*|befehl\w*)|trata\w*[^.]{0,40}como (?:[óo]rden\w*|"
    r"instruc\w*)|traite[rz]?\b[^.]{0,40}comme (?:des )?"
    r"(?:ordres|consignes|instructions)|"
    r"(?:befolg\w*|gehorch\w*|führe?\b[^.]{0,60}\baus\b|obede[cz]\w*|sig[au]\w*|ejecut\w*|"
    r"ob[ée]i\w*|suis\b|suivez|ex[ée]cut\w*|prim(?:e|ent) sur|pr[ée]val\w+|obede[çc]\w*|cumpr\w*|"
    r"obbedi\w*|segui\b|esegui\w*|volg\b|gehoorzaam|выполня\w*|следуй\w*|подчиня\w*|"
    r"исполня\w*)[^.]{0,60}?(?:anweisung\w*|befehl\w*|[óo]rdenes|instruc\w+|"
    r"ordres|consignes|celles|instru[çc]\w+|ordens|istruzion\w*|ordini|opdrachten|указани\w*|инструкци\w*|команд\w*|"
    r"распоряжени\w*)|"
    r"(?:执行|遵循|服从|遵守|照做)[^。]{0,20}(?:指令|指示|命令)|(?:指示|命令)(?:に|を)(?:すべて)?(?:従|実行)|(?:지시|"
    r"명령)(?:를|을|에)[^.]{0,8}(?:따르|실행)"
)
"""Texts that are to be obeyed; beside where those texts come from."""
RETURNED: Final = re.compile(
    r"ergebnis\w*|antwort\w*|dieses servers|texte?\b|webseite\w*|entwickler\w*|resultado\w*|respuesta\w*|devuel\w*|"
    r"servidor|texto\w*|"
    r"r[ée]sultat\w*|renvoy\w*|r[ée]ponse\w*|serveur|outil|retorn\w*|resposta\w*|risult\w*|rispost\w*|resultaten|"
    r"результат\w*|ответ\w*|сервер\w*|страниц\w*|текст\w*|返回|结果|文中|网页|页面|服务器|結果|応答|ページ|サーバー|"
    r"返され|결과|응답"
)
TRACES: Final = re.compile(
    r"(?<!\w)(?:lösch\w*|entfern\w*|borr[ae]\w*|elimin[ae]\w*|efface\w*|supprim\w*|apag\w*|exclu[ia]\w*|cancell\w*|"
    r"elimin\w*|удал[ия]\w*|сотри)\b[^.]{0,60}?"
    r"(?:protokoll\w*|spuren|registros|huellas|rastros?|journaux|traces|logs?\b|tracce|журнал\w*|следы|следов)|"
    r"删除[^。]{0,10}(?:日志|痕迹|记录)|(?:ログ|履歴|痕跡)を?(?:削除|消)"
)
SINK: Final = re.compile(
    r"[`'\"«「][a-z_]\w{0,40}['\"`»」]|\b(?:feld|parameter|argument|campo|par[áa]metro|argumento|champ|param[èe]tre|"
    r"parametro)\b|пол[ея]\b|параметр\w*|参数|字段|引数|"
    r"パラメータ|フィールド|\b[a-z_]{3,20} ?(?:に入れ|に追加|字段|参数)|(?:写入|填入|放入|放进) ?[a-z_]+|https?://"
)
OWNED: Final = re.compile(
    r"(?:des|der|dem) (?:\w+ )?(?:nutzers|benutzers|anwenders|kunden|kontos)|(?:del|de la|du|de l'|do|da|"
    r"dell') ?(?:usuari[oa]|cliente|utilisateur|client|usu[áa]ri[oa]|utente)|"
    r"пользователя|клиента|用户的|客户的|顾客的|ユーザーの|利用者の|顧客の|사용자의"
)
AUTHORITY: Final = re.compile(
    r"(?<!\w)(?:administrator\w*|sicherheitsabteilung|it-abteilung|richtlinie\w*|vorschrift\w*|compliance|"
    r"administrador\w*|auditor[íi]a|"
    r"pol[íi]tica\w*|normativa\w*|reglamento|obligatori\w+|administrateur\w*|s[ée]curit[ée] informatique|"
    r"r[èe]glement\w*|politique|obligatoire\w*|"
    r"auditoria|regulament\w*|obrigat[óo]ri\w*|amministrator\w*|normativ\w*|obbligatori\w*|администратор\w*|"
    r"служб\w+ безопасности|политик\w*|"
    r"обязательн\w*|требовани\w+)|管理员|安全部门|合规|政策|规定|管理者|セキュリティ部門|規定|規則|監査|관리자|보안팀"
)
RANKS: Final = re.compile(
    r"(?<!\w)(?:immer|stets|ausschließlich|nur|niemals|nie|siempre|únicamente|solamente|nunca|jam[áa]s|toujours|"
    r"uniquement|exclusivement|jamais|"
    r"sempre|apenas|somente|esclusivamente|altijd|uitsluitend|всегда|только|исключительно|никогда|"
    r"prioridad m[áa]xima|anstelle|statt|"
    r"anstatt|en lugar|en vez|au lieu|plut[ôo]t que|em vez|invece|in plaats|вместо)(?!\w)|始终|总是|只能|必须使用|"
    r"优先|而不是|代替|绝不|"
    r"常に|必ず|代わりに|優先|決して|항상|대신|우선"
)
"""Words of first choice; only beside tools of others."""
REACHES: Final = re.compile(
    r"(?<!\w)(?:alle[nrms]?|sämtliche\w*|gesamte\w*|vollständig\w*|ganze\w*|tod[ao]s?|complet[ao]s?|[íi]ntegr\w+|"
    r"literal\w*|entero|"
    r"tou(?:s|tes?|t)|compl[èe]t\w*|int[ée]gral\w*|entier\w*|mot à mot|inteir[ao]|tutt[ioae]|complet[oaie]|inter[oa]|"
    r"per intero|"
    r"alle|volledig\w*|вс[еюёяхь]\w*|полн\w+|целик\w*|дословно)(?!\w)|全部|所有|完整|一切|原文|すべて|全て|全文|全体|"
    r"そのまま|모든|전체"
)
FOR_READER: Final = re.compile(
    r"(?<!\w)(?:sprachmodell\w*|assistent\w*|ki-\w+|hinweis an (?:das|den)|asistente|modelo(?: de lenguaje)?|"
    r"assistant\w*|mod[èe]le(?: de langage)?|"
    r"agente?s?|assistente|modell[oi]|ассистент\w*|модел\w*|агент\w*)(?!\w)|模型|助手|智能体|アシスタント|モデル|"
    r"エージェント|어시스턴트|모델"
)
