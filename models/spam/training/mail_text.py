"""From a raw mail to the text the model reads: `Subject: ...`, a blank line, the readable body."""

from __future__ import annotations

import email
import email.header
import email.message
import html
import re
import unicodedata
from html.parser import HTMLParser

MASKED_ADDRESS = "someone@example.com"
MASKED_PHONE = "555-0100"

CHARSET_ALIASES = {"gb2312": "gb18030", "ks_c_5601-1987": "cp949", "euc-kr": "cp949", "iso-8859-1": "cp1252"}
BLOCK_TAGS = frozenset(
    "address blockquote br center dd div dl dt fieldset form h1 h2 h3 h4 h5 h6 hr li ol p pre table tr ul".split()
)
SPACED_TAGS = frozenset("td th option input".split())
DROPPED_TAGS = frozenset("script style title".split())


def mail_text(raw: bytes, mask: bool = True) -> str:
    """The one text form used in training, in evaluation and in the committed sample.

    Only subject and body: transport headers of this corpus name the collector's own hosts,
    and a model allowed to read them would learn the mailbox, not the mail.
    """
    message = email.message_from_bytes(raw)
    subject = strip_list_tags(" ".join(clean(decode_subject(message)).split()))
    body = strip_list_footers(clean(body_text(message)))
    text = neutralise_collector(f"Subject: {subject}\n\n{body}".rstrip())
    return mask_contacts(text) if mask else text


def decode_subject(message: email.message.Message) -> str:
    """Decode RFC 2047 words, but keep what is there when a mailer wrote them wrongly."""
    value = message.get("Subject", "")
    try:
        parts = email.header.decode_header(value)
    except (email.errors.HeaderParseError, ValueError):
        return str(value)
    return "".join(decode_bytes(part, charset) if isinstance(part, bytes) else part for part, charset in parts)


def decode_bytes(data: bytes, charset: str | None) -> str:
    """Try the declared charset, then UTF-8, then the one most mailers of 2002 really sent."""
    declared = (charset or "").strip().strip("\"'").lower()
    for candidate in (CHARSET_ALIASES.get(declared, declared), "utf-8"):
        try:
            return data.decode(candidate)
        except (LookupError, UnicodeDecodeError, ValueError):
            continue
    return data.decode("cp1252", errors="ignore")


def body_text(message: email.message.Message) -> str:
    """The body as a person would read it: of alternatives one, of mixed parts all that are text."""
    if message.is_multipart():
        parts = [part for part in message.get_payload() if isinstance(part, email.message.Message)]
        if message.get_content_type() == "multipart/alternative":
            return readable_alternative(parts)
        return "\n\n".join(filter(None, (body_text(part) for part in parts)))
    if message.get_content_maintype() != "text" or message.get_content_disposition() == "attachment":
        return ""
    return part_text(message)


def readable_alternative(parts: list[email.message.Message]) -> str:
    """The plain alternative unless it is a stub such as "your reader cannot show HTML"."""
    texts = [body_text(part) for part in parts]
    plain = [text for part, text in zip(parts, texts) if part.get_content_type() == "text/plain"]
    for text in plain:
        if sum(char.isalpha() for char in text) >= 80:
            return text
    return max(texts, key=len, default="")


def part_text(part: email.message.Message) -> str:
    payload = part.get_payload(decode=True) or b""
    text = decode_bytes(payload, part.get_content_charset(failobj="") if part.get("Content-Type") else None)
    looks_like_html = re.search(r"<\s*(html|body|table|font|center)\b", text[:3000], re.IGNORECASE)
    if part.get_content_subtype() == "html" or looks_like_html:
        return html_text(text)
    return text


class ReadableHtml(HTMLParser):
    """Collects what a browser would show; comments vanish without a space, as spammers split words with them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.dropped: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in DROPPED_TAGS:
            self.dropped = tag
        elif tag in BLOCK_TAGS:
            self.pieces.append("\n")
        elif tag in SPACED_TAGS:
            self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == self.dropped:
            self.dropped = None
        elif tag in BLOCK_TAGS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if self.dropped is None:
            self.pieces.append(re.sub(r"\s+", " ", data))


def html_text(source: str) -> str:
    """Readable text of HTML that is often broken: an unclosed script must not swallow the mail."""
    source = re.sub(r"<!--.*?-->", "", source, flags=re.DOTALL)
    source = re.sub(r"<(script|style)\b.*?</\1\s*>", " ", source, flags=re.DOTALL | re.IGNORECASE)
    source = re.sub(r"</?(script|style)\b[^>]*>|<[!?][^>]*>", " ", source, flags=re.IGNORECASE)
    parser = ReadableHtml()
    try:
        parser.feed(source)
        parser.close()
        text = "".join(parser.pieces)
    except (AssertionError, ValueError):
        text = ""
    return text if text.strip() else html.unescape(re.sub(r"<[^>]*>", " ", source))


def clean(text: str) -> str:
    """Drop what no reader sees (controls, zero-width, unassigned), so that no tokenizer can disagree about it."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = "".join(visible(char) for char in text)
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def visible(char: str) -> str:
    if char == "\n" or " " <= char <= "~":
        return char
    category = unicodedata.category(char)
    if char == "\t" or category.startswith("Z"):
        return " "
    return "" if category.startswith("C") or char == "\ufffd" else char


LIST_TAG = re.compile(
    r"\[(?:ILUG[\w-]*|SAtalk|SAdev|SAdl|Spambayes[\w-]*|Razor[\w-]*|zzzzteana|FoRK|CLUG[\w-]*|IIU|social|use Perl"
    r"|spam|exmh[\w-]*|secprog|ActiveState[\w -]*)\]\s*",
    re.IGNORECASE,
)
FOOTER_MARK = re.compile(
    r"/mailman/listinfo|/lists/listinfo|listmaster@|\bmailing list$|_{20,}|Irish Linux Users' Group"
    r"|(?:sf\.net|sourceforge).* e?-?mail is sponsored by",
    re.IGNORECASE,
)
FOOTER_BLOCKS = (
    re.compile(r"\n-{40,}\nThis (?:sf\.net|sourceforge)[^\n]*sponsored by.{0,700}?(?=\n_{20,}|\Z)",
               re.IGNORECASE | re.DOTALL),
    re.compile(r"\n_{20,}\n(?:[^\n]*\n){0,7}[^\n]*\Z"),
    re.compile(r"\n?-{2,}[^\n]{0,10}Yahoo! Groups Sponsor[^\n]*\n.{0,800}?~-?->", re.DOTALL),
    re.compile(r"\nYou have received this message because you subscribed to it\non use Perl.*\Z", re.DOTALL),
    re.compile(r"\n--(?:DeathToSpam){2,}-*"),
    re.compile(r"\nTo unsubscribe from this group, send an email to:.*\Z", re.DOTALL),
    re.compile(r"\nYour use of Yahoo! Groups is subject to[^\n]*"),
    re.compile(r"\n-- ?\nTo UNSUBSCRIBE, email to .*\Z", re.DOTALL),
    re.compile(r"\n-- ?\nIrish Linux Users' Group.*\Z", re.DOTALL),
)


def strip_list_tags(subject: str) -> str:
    """`[ILUG]` and its kin name the mailing list, and nearly every list mail of this corpus is ham."""
    return LIST_TAG.sub("", subject).strip()


def strip_list_footers(body: str) -> str:
    """Footers that list software appends would give the answer away without saying anything about the mail."""
    for block in FOOTER_BLOCKS:
        body = block.sub("", body)
    body = "\n".join(line for line in body.split("\n") if not FOOTER_MARK.search(line))
    return re.sub(r"\n{3,}", "\n\n", body).strip()


COLLECTOR_WORD = re.compile(r"\b(?:z{4,}|y{4,}|q{6,}|zzzzason|yyyyason|jmason)\b", re.IGNORECASE)


def neutralise_collector(text: str) -> str:
    """The corpus replaced its owner's name by `zzzz` or `yyyy`, which differs by group: one word for all."""
    return COLLECTOR_WORD.sub("someone", text)


ADDRESS = re.compile(
    r"[\w.+=&$*'!-]{0,120}[\w+=$*-](?:@|%40)\s?\[?[A-Za-z0-9][\w-]{0,62}(?:\.[\w-]{1,62}){0,8}\]?"
)
SPELLED_ADDRESS = re.compile(
    r"\b[\w.+-]{1,64} ?[<\[({]?\bat\b[>\])}]? ?[\w-]{1,62}(?: ?[<\[({]?\bdot\b[>\])}]? ?[\w-]{1,62}){1,4}", re.IGNORECASE
)
PHONES = (
    re.compile(r"(?<![\w/=.-])\+\s?\d(?:[\s().-]{0,2}\d){7,14}(?!\w)"),
    re.compile(r"(?<!\w)(?:\+?1[\s.-]{0,2})?\(?\d{3}\)?[\s.\-/]{1,3}\d{3}[\s.-]{1,3}\d{4}(?!\w)"),
    re.compile(r"(?<![\w/=.-])\(?0\d{1,4}\)?[\s-]\d{3,4}[\s-]?\d{3,4}(?![\w-])"),
    re.compile(r"(?<![\w/=.-])1?[\s-]?\(?8(?:00|66|77|88)\)?[\s.-][A-Za-z0-9]{3,4}-?[A-Za-z0-9]{3,7}(?!\w)"),
    re.compile(r"(?<![\w/=.-])\d{3}-\d{4}(?![\w-])"),
)


def mask_contacts(text: str) -> str:
    """One placeholder for every address and number, so that the sample we publish names nobody's mailbox."""
    text = SPELLED_ADDRESS.sub(MASKED_ADDRESS, ADDRESS.sub(MASKED_ADDRESS, text))
    for pattern in PHONES:
        text = pattern.sub(MASKED_PHONE, text)
    return text
