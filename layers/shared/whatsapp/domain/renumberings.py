"""Numbers that are written in two ways: as before and as after their country renumbered.

WhatsApp may keep the number under which an account was opened (an Ivorian one of 8 digits), and a caller's list is as
old as its last entry. So both spellings stay in use for years, and both must lead to one contact.

This table alone decides which spellings are one. Number metadata decides which numbers are accepted, but not this:
else an update of the library could part a person from their STOP. A test compares the table with the metadata: an old
spelling that is somebody's number today must not be listed.

A change is listed if it was in 2010 or later (WhatsApp is from 2009), if the digits alone say what became of a number,
and if the old ones do not look like an Indian mobile with a bare `+`, as Qatar's of 7 digits did.
"""

import re
from collections.abc import Iterator

from whatsapp.domain.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """Digits replaced within numbers: `stays`, `old` and `rest` together became `stays`, `new` and `rest`."""

    stays: str
    """A regular expression: the digits before those that changed, from the country code on."""
    old: str
    new: str
    rest: str
    """A regular expression: the digits after those that changed."""

    def renumbered(self, e164: str) -> str | None:
        """The number as it is today; None if it is not one of the old ones."""
        return self._replaced(e164, self.old, self.new)

    def before(self, e164: str) -> str | None:
        """The number as it was before; None if it is not one of the new ones."""
        return self._replaced(e164, self.new, self.old)

    def _replaced(self, e164: str, this: str, that: str) -> str | None:
        found = re.fullmatch(rf"\+({self.stays}){this}({self.rest})", e164, re.ASCII)
        return f"+{found[1]}{that}{found[2]}" if found else None


@dataclass(frozen=True, slots=True)
class Renumbering:
    """What a country changed, and when."""

    country: str
    codes: tuple[str, ...]
    """Country codes of the numbers before and after, with `+`."""
    since: str
    """The first day of the new numbers; of several, the last. Empty where both spellings are old."""
    source: str
    changes: tuple[Change, ...]


def _replace(code: str, pairs: str, rest: str) -> tuple[Change, ...]:
    """`120>70` in place of `120` before `rest`, for each pair."""
    return tuple(Change(code, old, new, rest) for old, new in (pair.split(">") for pair in pairs.split()))


RENUMBERINGS = (
    Renumbering(
        "Benin",
        ("+229",),
        "2024-11-30",
        "www.itu.int/oth/T0202000017: 01 before the 8 digits",
        (Change("229", "", "01", r"[24-69]\d{7}"),),
    ),
    Renumbering(
        "Colombia",
        ("+57",),
        "2021-09-01",
        "Resolución CRC 5826 de 2019: 60 before landlines",
        (Change("57", "", "60", r"(?!46)[124-8][2-9]\d{6}"),),
    ),
    Renumbering(
        "Ivory Coast",
        ("+225",),
        "2021-01-31",
        "www.itu.int/oth/T0202000031: 01 (Moov), 05 (MTN) or 07 (Orange) before mobiles, as their second digit says; "
        "27 before Orange's landlines",
        (
            Change("225", "", "01", r"(?:0[1-3]|[4-7][0-3])\d{6}"),
            Change("225", "", "05", r"[04-9][4-6]\d{6}"),
            Change("225", "", "07", r"[04-9][7-9]\d{6}"),
            Change("225", "", "27", r"(?:2(?:0[23]|1[2357]|2[245]|3[45]|4[3-5])|3(?:06|1[69]|[2-6]7))\d{5}"),
        ),
    ),
    Renumbering(
        "Gabon",
        ("+241",),
        "2019-11-15",
        "www.rfi.fr/afrique/20191115-changement-numerotation-telephonique-gabon: 6 or 7 in place of the 0 of mobiles, "
        "1 in place of that of landlines",
        (
            Change("241", "", "6", r"[256]\d{6}"),
            Change("241", "", "7", r"[47]\d{6}"),
            Change("241", "0", "6", r"[256]\d{6}"),
            Change("241", "0", "7", r"[47]\d{6}"),
            Change("241", "0", "1", r"1\d{6}"),
        ),
    ),
    Renumbering(
        "Mexico",
        ("+52",),
        "2019-08-03",
        "IFT, Diario Oficial de la Federación of 2018-05-11: no 1 after +52",
        (Change("52", "1", "", r"\d{10}"),),
    ),
    Renumbering(
        "Kosovo",
        ("+386", "+383"),
        "2019-01-14",
        "www.itu.int/dms_pub/itu-t/oth/02/02/T02020000FD0001PDFE.pdf: a code of its own in place of Slovenia's. "
        "The old 43 there, and 44 and 45 under Monaco's code, are still numbers of those countries",
        (Change("", "386", "383", r"49\d{6}"),),
    ),
    Renumbering(
        "Vietnam",
        ("+84",),
        "2018-11-14",
        "Ministry of Information and Communications: mobiles of 11 digits with the 0 became 10",
        _replace(
            "84",
            "120>70 121>79 122>77 126>76 128>78 123>83 124>84 125>85 127>81 129>82 "
            "162>32 163>33 164>34 165>35 166>36 167>37 168>38 169>39 186>56 188>58 199>59",
            r"\d{7}",
        ),
    ),
    Renumbering(
        "Brazil",
        ("+55",),
        "2016-11-06",
        "ANATEL, Resolução 553 de 2010: 9 before mobiles. WhatsApp keeps older accounts without it",
        (Change(r"55\d\d", "", "9", r"[6-9]\d{7}"),),
    ),
    Renumbering(
        "Cameroon",
        ("+237",),
        "2014-11-21",
        "ITU, communication of 2014-10-06: 6 before mobiles, 2 before landlines, whose 33 became 43",
        (
            Change("237", "", "6", r"(?!88)[5-9]\d{7}"),
            Change("237", "", "2", r"22\d{6}"),
            Change("237", "33", "243", r"\d{6}"),
        ),
    ),
    Renumbering(
        "Mauritius",
        ("+230",),
        "2013-09-01",
        "ICTA, decision of 2013-02-11: 5 before mobiles",
        (Change("230", "", "5", r"(?:25\d|4(?:2[39]|4\d|7[2-9]|9[1-8])|7\d\d|87[15-8]|9[1-8]\d)\d{4}"),),
    ),
    Renumbering(
        "Ecuador",
        ("+593",),
        "2012-09-30",
        "SUPERTEL, www.vayaadventures.com/blog/phone-number-changes-in-ecuador-and-chile: 9 before mobiles",
        (Change("593", "", "9", r"[89]\d{7}"),),
    ),
    Renumbering(
        "Egypt",
        ("+20",),
        "2011-10-06",
        "www.tra.gov.eg/english/News_NewsDetails.asp?PID=39&ID=186. The old 015 is in use again",
        _replace("20", "10>100 16>106 19>109 12>122 17>127 18>128 11>111 14>114", r"\d{7}"),
    ),
    Renumbering(
        "Argentina",
        ("+54",),
        "",
        "faq.whatsapp.com, how to add an international phone number: a 9 before mobiles, which they lack at home",
        (Change("54", "", "9", r"(?!9)\d{10}"),),
    ),
)


def canonical(e164: str) -> str:
    """Today's spelling of a number, so that one person is one contact."""
    return next((now for change in _changes(e164) if (now := change.renumbered(e164))), e164)


def older_spellings(e164: str) -> tuple[str, ...]:
    """Every other spelling that has the same canonical one."""
    today = canonical(e164)
    return tuple(old for change in _changes(today) if (old := change.before(today)) and canonical(old) == today)


def _changes(e164: str) -> Iterator[Change]:
    return (change for plan in RENUMBERINGS if e164.startswith(plan.codes) for change in plan.changes)
