"""What a file is, judged on real ones (tests/data/media) and on bytes that are none of them."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest
from whatsapp.domain.receiving.file_type import type_of
from whatsapp.domain.receiving.inbound import UNKNOWN_TYPE, kind_of

FILES = Path(__file__).parents[1] / "data" / "media"
OFFICE = "application/vnd.openxmlformats-officedocument."
WORD = f"{OFFICE}wordprocessingml.document"
ZIPPED = (WORD, f"{OFFICE}spreadsheetml.sheet", f"{OFFICE}presentationml.presentation")
OLE = ("application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint", *ZIPPED)
MP4 = ("video/mp4", "audio/mp4", "video/quicktime", "video/3gpp", "audio/3gpp", "audio/aac")
OGG = ("audio/ogg", "audio/opus", "video/ogg", "application/ogg")

REAL = {
    "photo.jpg": ("image/jpeg",),
    "screenshot.png": ("image/png",),
    "animated.gif": ("image/gif",),
    "sticker.webp": ("image/webp",),
    "sticker-pillow.webp": ("image/webp",),
    "sticker-animated.webp": ("image/webp",),
    "scan.pdf": ("application/pdf",),
    "libreoffice.pdf": ("application/pdf",),
    "contact.vcf": ("text/vcard",),
    "voice.amr": ("audio/amr",),
    "voice.wav": ("audio/wav",),
    "libreoffice.rtf": ("text/rtf",),
}
"""Files whose bytes prove what they are."""
CONTAINERS = {
    "photo.heic": ("image/heic", "image/heif"),
    "photo.avif": ("image/avif",),
    "scan.tiff": ("image/tiff",),
    "scan.bmp": ("image/bmp",),
    **dict.fromkeys(("film.mp4", "film-fragmented.mp4", "film.mov", "film.3gp"), MP4),
    **dict.fromkeys(("voice.mp4", "voice.m4a", "voice-amr.3gp"), MP4),
    "voice-note.ogg": OGG,
    **dict.fromkeys(("voice-id3.mp3", "voice-bare.mp3", "voice.aac"), ("audio/mpeg", "audio/aac")),
    "film.webm": ("video/webm", "audio/webm"),
    **dict.fromkeys(("libreoffice.docx", "python-docx.docx", "libreoffice.xlsx", "openpyxl.xlsx"), ZIPPED),
    "libreoffice.pptx": ZIPPED,
    **dict.fromkeys(("libreoffice.doc", "libreoffice.xls", "libreoffice.ppt.gz", "with-password.docx"), OLE),
    "libreoffice.odt": (),
}
"""Files of which what is told decides, among these."""
TYPES = sorted({one for types in (*REAL.values(), *CONTAINERS.values()) for one in types} | {"text/html", "text/plain"})


def content_of(name: str) -> bytes:
    content = (FILES / name).read_bytes()
    return gzip.decompress(content) if name.endswith(".gz") else content


def test_every_file_is_judged() -> None:
    assert set(REAL) | set(CONTAINERS) == {file.name for file in FILES.iterdir()} - {"README.md", "make.sh"}


@pytest.mark.parametrize(("name", "types"), [*REAL.items(), *CONTAINERS.items()])
def test_what_is_told_of_a_file_is_taken_if_its_bytes_allow_it(name: str, types: tuple[str, ...]) -> None:
    content = content_of(name)
    assert [type_of(content, told) for told in types] == list(types)


@pytest.mark.parametrize("name", [*REAL, *CONTAINERS])
def test_nothing_is_told_and_little_is_proven(name: str) -> None:
    assert type_of(content_of(name), UNKNOWN_TYPE) == REAL.get(name, (UNKNOWN_TYPE,))[0]


@pytest.mark.parametrize(("name", "types"), [*REAL.items(), *CONTAINERS.items()])
def test_what_is_told_wrongly_is_never_taken_and_never_becomes_another_kind(name: str, types: tuple[str, ...]) -> None:
    content = content_of(name)
    proven = REAL.get(name, (None,))[0]
    for told in set(TYPES) - set(types):
        is_same_kind = proven is not None and kind_of(told) == kind_of(proven)
        assert type_of(content, told) == (proven if is_same_kind else UNKNOWN_TYPE), told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "image/jpeg"),
        (b"<!DOCTYPE html><html><script>alert(1)</script>", "image/jpeg"),
        (b"  \n<html><body>%PDF-1.7", "application/pdf"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "image/svg+xml"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "audio/ogg"),
        (json.dumps({"a": 1}).encode(), "application/pdf"),
        (b"MZ" + b"\0" * 100, "image/png"),
        (b"#!/bin/sh\n", "audio/amr"),
        (b"name,number\n", "text/csv"),
        (gzip.compress(b"x", mtime=0), "image/jpeg"),
        (b"\0" * 64, "audio/mpeg"),
        (b"\0\0\0\x18ftyp", "image/jpeg"),
    ],
)
@pytest.mark.parametrize("is_told", [True, False])
def test_what_is_no_file_of_a_known_kind_is_just_bytes(content: bytes, told: str, is_told: bool) -> None:
    assert type_of(content, told if is_told else UNKNOWN_TYPE) == UNKNOWN_TYPE


@pytest.mark.parametrize("told", [*ZIPPED, "application/zip", UNKNOWN_TYPE])
def test_a_zip_is_no_office_document(told: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    assert type_of(file.getvalue(), told) == UNKNOWN_TYPE


@pytest.mark.parametrize("told", ["text/vcard", UNKNOWN_TYPE])
def test_a_byte_order_mark_and_small_letters_are_a_vcard_all_the_same(told: str) -> None:
    assert type_of(b"\xef\xbb\xbfbegin:vcard\r\n", told) == "text/vcard"


@pytest.mark.parametrize(("told", "is_it"), [("text/calendar", True), (UNKNOWN_TYPE, True), ("text/vcard", False)])
def test_an_invitation_is_no_contact_card(told: str, is_it: bool) -> None:
    assert type_of(b"BEGIN:VCALENDAR\r\n", told) == ("text/calendar" if is_it else UNKNOWN_TYPE)
