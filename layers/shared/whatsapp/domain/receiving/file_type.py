"""The type of a patient's file: the one that Twilio names, unless the file's own bytes contradict it.

Many formats share a container: the first bytes of an MP4 do not show whether it is a film or a sound, nor those of an
OLE file whether Word or Excel wrote it. So bytes prove few types, but they can veto each (docs/decisions/0010).
"""

import re

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.receiving.inbound import UNKNOWN_TYPE, kind_of


@dataclass(frozen=True, slots=True)
class _Family:
    """Files that begin alike.

    Args:
        start: matches their first bytes.
        types: those that such a file may have.
        proves: the type that the first bytes alone prove, if they do.
        holds: bytes that stand somewhere in each of them.
    """

    start: re.Pattern[bytes]
    types: frozenset[str]
    proves: str | None = None
    holds: bytes = b""


def _of_one_type(start: bytes, content_type: str) -> _Family:
    return _Family(re.compile(start, re.DOTALL), frozenset({content_type}), content_type)


def _container(start: bytes, *types: str, holds: bytes = b"") -> _Family:
    return _Family(re.compile(start, re.DOTALL), frozenset(types), holds=holds)


_TEXT = rb"(\xef\xbb\xbf)?\s{0,64}"
_OOXML = "application/vnd.openxmlformats-officedocument."
_OFFICE = (f"{_OOXML}wordprocessingml.document", f"{_OOXML}spreadsheetml.sheet", f"{_OOXML}presentationml.presentation")
_FAMILIES = (
    _of_one_type(rb"\xff\xd8\xff", "image/jpeg"),
    _of_one_type(rb"\x89PNG\r\n\x1a\n", "image/png"),
    _of_one_type(rb"GIF8[79]a", "image/gif"),
    _of_one_type(rb"RIFF....WEBP", "image/webp"),
    _of_one_type(rb"RIFF....WAVE", "audio/wav"),
    _of_one_type(rb"#!AMR\n", "audio/amr"),
    _of_one_type(_TEXT + rb"%PDF-\d", "application/pdf"),
    _of_one_type(_TEXT + rb"(?i:BEGIN:VCARD)\s", "text/vcard"),
    _of_one_type(_TEXT + rb"(?i:BEGIN:VCALENDAR)\s", "text/calendar"),
    _of_one_type(rb"\{\\rtf\d", "text/rtf"),
    _container(rb"II\*\0|MM\0\*", "image/tiff"),
    _container(rb"BM....\0\0\0\0", "image/bmp"),
    _container(rb"....ftyp(hei|hev|mif1|msf1)", "image/heic", "image/heif"),
    _container(rb"....ftyp(avif|avis)", "image/avif"),
    _container(
        rb"....ftyp",
        *("video/mp4", "video/quicktime", "video/3gpp", "video/3gpp2"),
        *("audio/mp4", "audio/aac", "audio/3gpp", "audio/3gpp2"),
    ),
    _container(rb"OggS\0", "audio/ogg", "audio/opus", "video/ogg", "application/ogg"),
    _container(rb"ID3[\x02-\x04]|\xff[\xe2-\xe7\xf0-\xfd]", "audio/mpeg", "audio/aac"),
    _container(rb"\0\0\x01[\xb3\xba]", "video/mpeg"),
    _container(rb"\x1a\x45\xdf\xa3", "video/webm", "audio/webm"),
    # An Office document with a password is an OLE file, too.
    _container(
        rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
        *_OFFICE,
    ),
    _container(rb"PK\x03\x04", *_OFFICE, holds=b"[Content_Types].xml"),
)


def type_of(content: bytes, named: str) -> str:
    """The file's type, by its name at Twilio and by its bytes.

    The named type, if such a file begins like that. Else the one that the bytes prove, if no type was named or one of
    the same kind (a PNG that is named JPEG is a picture all the same). Else `UNKNOWN_TYPE`: never a guess, and never
    another kind than the named one.

    Args:
        content: the whole file.
        named: a `media_type`.
    """
    families = (family for family in _FAMILIES if family.start.match(content) and family.holds in content)
    family = next(families, None)
    if family is None:
        return UNKNOWN_TYPE
    if named in family.types:
        return named
    if family.proves and (named == UNKNOWN_TYPE or kind_of(named) == kind_of(family.proves)):
        return family.proves
    return UNKNOWN_TYPE
