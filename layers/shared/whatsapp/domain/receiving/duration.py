"""How long a patient's recording lasts."""

import io
from collections.abc import Iterator

_AMR = b"#!AMR\n"
_AMR_FRAME = (13, 14, 16, 18, 20, 21, 27, 32, 6)
"""Bytes of a frame by its type (RFC 4867, section 5.3). Each lasts 20 ms; one of another type is a byte."""
_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""Samples in a second by their index in an AAC frame's header (ISO/IEC 14496-3). Each frame has 1 024."""


def duration_of(content: bytes, content_type: str) -> int | None:
    """Seconds, of a sound (`audio/…`); None of anything else, and where the file does not tell.

    WhatsApp records voice notes as Opus in Ogg. Other sounds that patients send are MP3, AAC, AMR and MP4.
    """
    if not content_type.startswith("audio/"):
        return None
    try:
        seconds = _amr(content) or _adts(content) or _by_tags(content)
    except Exception:  # noqa: BLE001 - a stranger's file may break any parser, and is kept all the same
        return None
    return max(1, round(seconds)) if seconds else None


def _by_tags(content: bytes) -> float | None:
    from tinytag import TinyTag  # only where a sound is stored

    return TinyTag.get(file_obj=io.BytesIO(content), tags=False).duration


def _amr(content: bytes) -> float | None:
    return sum(1 for _ in _amr_frames(content)) * 0.020 if content.startswith(_AMR) else None


def _amr_frames(content: bytes) -> Iterator[int]:
    at = len(_AMR)
    while at < len(content):
        yield at
        kind = content[at] >> 3 & 0x0F
        at += _AMR_FRAME[kind] if kind < len(_AMR_FRAME) else 1


def _adts(content: bytes) -> float | None:
    """AAC without a container."""
    at, seconds = 0, 0.0
    while at + 7 <= len(content) and content[at] == 0xFF and content[at + 1] & 0xF6 == 0xF0:
        rate, length = content[at + 2] >> 2 & 0x0F, int.from_bytes(content[at + 3 : at + 6]) >> 5 & 0x1FFF
        if rate >= len(_ADTS_RATES) or length < 7:
            break
        seconds += 1024 / _ADTS_RATES[rate]
        at += length
    return seconds or None
