"""Words by which a patient may say that life is in danger. `docs/safety.md` says what is found, and what missed."""

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.events import Safety

FILE = Path(__file__).with_name("safety_phrases.tsv")
HARMLESS, PAYLOAD = "harmless", "payload"
LANGUAGES = ("en", "hi-Latn", "hi", "ta", "bn", PAYLOAD)
_FALLS_AWAY = "'’‘`\u093c\u09bc"
"""Apostrophes, and the nuktas of Devanagari and Bengali."""
_REPEATED = re.compile(r"(.)\1+", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """One phrase, as it is compared: with a blank before it, and one behind it unless any ending will do."""

    phrase_id: str
    language: str
    compared: str


class _Phrases:
    """The list, so that a text is compared with few of it: each word finds the phrases that begin with it."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        self.by_payload: dict[str, str] = {}
        self._by_word: dict[str, list[tuple[int, Phrase]]] = {}
        self._by_start: list[tuple[int, Phrase]] = []
        """Of one word, with any ending."""
        for place, phrase in enumerate(phrases):
            word, _, rest = phrase.compared[1:].partition(" ")
            if phrase.language == PAYLOAD:
                self.by_payload[phrase.compared] = phrase.phrase_id
            elif rest or phrase.compared.endswith(" "):
                self._by_word.setdefault(word, []).append((place, phrase))
            else:
                self._by_start.append((place, phrase))

    def in_text(self, compared: str) -> list[Phrase]:
        """Those in a text, harmless ones first, then as the list has them."""
        by_word = self._by_word
        possible = [each for word in set(compared.split()) if word in by_word for each in by_word[word]]
        found = [each for each in possible + self._by_start if each[1].compared in compared]
        return [phrase for _, phrase in sorted(found, key=lambda each: each[0])]


def safety_of(texts: Iterable[str | None], payload: str | None = None) -> Safety | None:
    """The first phrase found in one of the texts, or by the payload of a tap; None if there is none."""
    for text in filter(None, texts):
        compared = normalised(text)
        for phrase in _phrases().in_text(compared):  # mostly none
            if phrase.compared not in compared:
                continue
            if phrase.phrase_id != HARMLESS:
                return Safety(phrase_id=phrase.phrase_id, language=phrase.language)
            compared = compared.replace(phrase.compared, " | ")
    phrase_id = _phrases().by_payload.get(payload or "")
    return Safety(phrase_id=phrase_id, language=PAYLOAD) if phrase_id else None


def normalised(text: str) -> str:
    """As phrases are compared: lower case, one blank around each word, no letter twice in a row."""
    if text.isascii():  # mostly, and much faster
        letters = text.lower().translate(_ASCII)
    else:
        letters = "".join(map(_letter, unicodedata.normalize("NFKC", text).lower()))
    return _REPEATED.sub(r"\1", f" {letters} ")


def _letter(letter: str) -> str:
    if letter.isalnum():
        return letter
    category = unicodedata.category(letter)
    if category == "Cf" or letter in _FALLS_AWAY:
        return ""
    return letter if category[0] == "M" else " "


_ASCII = {code: _letter(chr(code)) for code in range(128)}


def phrases_in(lines: Iterable[str]) -> Iterator[Phrase]:
    """The phrases of a file's lines, harmless ones first.

    Raises:
        ValueError: a line is wrong; it names the line.
    """
    found = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        phrase_id, language, phrases = (*line.rstrip("\n").split("\t"), "", "")[:3]
        if not re.fullmatch("[a-z_]{1,40}", phrase_id) or language not in LANGUAGES or line.count("\t") != 2:
            raise ValueError(f"line {number}: a name, a language ({', '.join(LANGUAGES)}) and phrases, parted by tabs")
        for phrase in phrases.split("|"):
            compared = phrase if language == PAYLOAD else normalised(phrase.removesuffix("*"))
            if not compared.strip():
                raise ValueError(f"line {number}: an empty phrase")
            compared = compared.rstrip() if phrase.endswith("*") else compared
            found.append(Phrase(phrase_id=phrase_id, language=language, compared=compared))
    return iter(sorted(found, key=lambda phrase: phrase.phrase_id != HARMLESS))


@cache
def _phrases() -> _Phrases:
    """Read by the first message, not by the import. A list that cannot be read must not cost the message."""
    try:
        with FILE.open(encoding="utf-8") as lines:
            return _Phrases(phrases_in(lines))
    except (OSError, ValueError) as error:
        logger = logging.getLogger(__name__)
        logger.error("%s cannot be read (%s): nothing is matched", FILE.name, error)  # noqa: TRY400 - it names the line
        return _Phrases(())
