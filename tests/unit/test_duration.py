"""How long a patient's recording lasts, by its bytes."""

from pathlib import Path

import pytest
from whatsapp.domain.receiving.duration import duration_of

VOICE_NOTE = (Path(__file__).parents[2] / "local/phone/samples/voice.ogg").read_bytes()
AMR = b"#!AMR\n" + (b"\x3c" + bytes(31)) * 150  # 12.2 kbit/s, 20 ms each
PAUSES = b"#!AMR\n" + (b"\x44" + bytes(5)) * 50 + b"\x7c" * 50  # comfort noise, nothing
ADTS = (b"\xff\xf1\x50\x80" + (40 << 5 | 0x1F).to_bytes(2) + b"\xfc" + bytes(33)) * 215  # 44.1 kHz, 1 024 samples each


@pytest.mark.parametrize(
    ("content", "content_type", "seconds"),
    [
        (VOICE_NOTE, "audio/ogg", 4),
        (AMR, "audio/amr", 3),
        (PAUSES, "audio/amr", 2),
        (ADTS, "audio/aac", 5),
        (AMR[:40], "audio/amr", 1),
        (VOICE_NOTE, "video/mp4", None),
        (b"OggS but nothing else", "audio/ogg", None),
        (b"", "audio/mpeg", None),
        (ADTS[:3], "audio/aac", None),
    ],
)
def test_seconds_of_a_sound(content: bytes, content_type: str, seconds: int | None) -> None:
    assert duration_of(content, content_type) == seconds
