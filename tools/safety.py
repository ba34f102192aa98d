"""`python -m tools.safety`: what the phrases for danger to life find and miss, on the sentences of the tests."""

from collections import Counter
from pathlib import Path

from whatsapp.domain.receiving.safety import safety_of

SENTENCES = Path(__file__).parents[1] / "tests/data/safety_sentences.tsv"


def sentences() -> list[tuple[bool, str, str]]:
    """Each sentence: whether it is dangerous, its language, its text."""
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()
    parts = (line.split("\t") for line in lines if not line.startswith("#"))
    return [(judged == "danger", language, text) for judged, language, text in parts]


def figures(language: str | None = None) -> Counter[tuple[bool, bool]]:
    """How many sentences, by whether they are dangerous and whether they were found."""
    chosen = (one for one in sentences() if language in (None, one[1]))
    return Counter((is_danger, safety_of([text]) is not None) for is_danger, _, text in chosen)


def main() -> None:
    """Print every wrong verdict, then recall and precision by language and of all."""
    for is_danger, spoken, text in sentences():
        if (safety_of([text]) is not None) != is_danger:
            print(f"{'missed' if is_danger else 'false alarm'}\t{spoken}\t{text}")
    languages: list[str | None] = list(dict.fromkeys(one[1] for one in sentences()))
    for language in (*languages, None):
        count = figures(language)
        found, missed, false = count[True, True], count[True, False], count[False, True]
        rates = f"recall {found / (found + missed):.0%}, precision {found / (found + false):.0%}"
        print(f"{language or 'all'}: {rates} ({count.total()} sentences)")


if __name__ == "__main__":
    main()
