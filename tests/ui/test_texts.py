"""The texts of the tab: every language has each of them, and no script has a sentence of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_testerarmy import ui

STATIC = Path(ui.__file__).with_name("static")
LANGUAGES = {path.stem: json.loads(path.read_text()) for path in sorted((STATIC / "text").glob("*.json"))}
SCRIPTS = sorted(STATIC.glob("*.js"))
_COMMENT = re.compile(r"^\s*(//|/\*|\*).*$|(?<=[\s;{},])//\s.*$", re.MULTILINE)
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')


def code_of(script: Path) -> str:
    return _COMMENT.sub("", script.read_text())


def literals(script: Path) -> list[str]:
    return [one or other for one, other in _LITERAL.findall(code_of(script))]


def values_of(text: Any) -> set[str]:
    forms = text.values() if isinstance(text, dict) else [text]
    return {name for form in forms for name in re.findall(r"\{(\w+)\}", form)}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_text_replaces_another(language: str) -> None:
    """Of two texts with one key, JavaScript silently takes the last."""
    pairs = json.loads(
        (STATIC / "text" / f"{language}.json").read_text(), object_pairs_hook=lambda found: found
    )
    keys = [key for key, _ in pairs]
    assert [key for key in keys if keys.count(key) > 1] == []


def test_english_and_german_exist() -> None:
    assert set(LANGUAGES) == {"de", "en"}


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_a_language_has_the_same_texts_as_english(language: str) -> None:
    english, other = LANGUAGES["en"], LANGUAGES[language]
    assert list(other) == list(english)
    assert {key: values_of(text) | {"count"} for key, text in other.items()} == {
        key: values_of(text) | {"count"} for key, text in english.items()
    }
    assert {key for key, text in other.items() if isinstance(text, dict)} == {
        key for key, text in english.items() if isinstance(text, dict)
    }


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_text_with_a_count_has_the_plurals_of_its_language(language: str) -> None:
    counted = [text for text in LANGUAGES[language].values() if isinstance(text, dict)]
    assert all(set(text) == {"one", "other"} for text in counted)


#: The German word for each English term, as patterns. A term has one word, and a word stands for one term.
TERMS = {
    r"issues?\b": r"Problem",
    r"verdict": r"Urteil",
    r"(outcome|result)s?\b": r"Ergebnis",
    r"flak(y|i)": r"instabil",
    r"quarantine": r"Quarantäne",
    r"owner": r"Zuständig",
    r"connection": r"Connection",
    r"record(?!ing)": r"Verzeichnis",
    r"recording": r"Aufzeichnung",
    r"(try|tries)\b(?! again)": r"Versuch(?!en Sie)",
    r"attempts?\b": r"Anl(auf|äufe)",
    r"failure": r"Fehlschlag",
}
#: Texts in which a word of these is not the term: an order to the reader, and "retry".
NO_TERMS = {"error.silent.sent", "actions.cancel.fails"}


@pytest.mark.parametrize("term", TERMS)
def test_a_term_has_one_german_word(term: str) -> None:
    """Two words for one thing, or one for two, make a reader look for a difference."""
    pairs = {
        key: (words_of(LANGUAGES["en"][key]), words_of(LANGUAGES["de"][key]))
        for key in LANGUAGES["en"]
        if key not in NO_TERMS
    }
    differs = {
        key: pair
        for key, pair in pairs.items()
        if bool(re.search(rf"\b{term}", pair[0], re.IGNORECASE))
        != bool(re.search(rf"\b{TERMS[term]}", pair[1], re.IGNORECASE))
    }
    assert differs == {}


def words_of(text: Any) -> str:
    """All forms of a text, without the names of its values."""
    return re.sub(r"\{\w+\}", "", " ".join(text.values()) if isinstance(text, dict) else text)


def test_every_text_is_used() -> None:
    code = "\n".join(code_of(script) for script in SCRIPTS)
    stems = set(re.findall(r"`(\w+(?:\.\w+)*\.)\$\{", code))
    unused = {
        key
        for key in LANGUAGES["en"]
        if f'"{key}"' not in code and not any(key.startswith(stem) for stem in stems)
    }
    assert unused == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_has_no_sentence_of_its_own(script: Path) -> None:
    # Two words, the first with a capital letter: class names, paths and attributes are in lower case.
    sentences = [text for text in literals(script) if re.search(r"(^|\s)[A-Z][a-z]+ [\w{$]", text)]
    assert sentences == []
