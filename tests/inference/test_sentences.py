"""How reports are cut into sentences."""

from __future__ import annotations

import pytest

from inference.sentences import language_of, sentences_of


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One is here. Two is here.", ["One is here.", "Two is here."]),
        ("A cyst of 1.5 cm x 2.0 cm. No stone.", ["A cyst of 1.5 cm x 2.0 cm.", "No stone."]),
        ("Seen by Dr. Smith today. Done.", ["Seen by Dr. Smith today.", "Done."]),
        ("1. First thing\n2. Second thing", ["First thing", "Second thing"]),
        ("- foie normal\n- rate normale", ["foie normal", "rate normale"]),
        ("A line that is\nwrapped here.", ["A line that is wrapped here."]),
        ("Normal size; no lesion", ["Normal size;", "no lesion"]),
        ("First paragraph\n\nsecond paragraph", ["First paragraph", "second paragraph"]),
        ("   \n\n ... \n", []),
    ],
)
def test_a_report_is_cut_into_sentences(text: str, sentences: list[str]) -> None:
    assert [sentence.text for sentence in sentences_of(text)] == sentences


def test_a_sentence_knows_the_heading_that_it_stands_under() -> None:
    report = "INDICATION: pain.\n\nLiver: normal size. No lesion.\nREINS\nTaille normale.\nPas de calcul."
    assert [(s.heading, s.text) for s in sentences_of(report)] == [
        ("INDICATION", "pain."),
        ("Liver", "normal size."),
        ("Liver", "No lesion."),
        ("REINS", "Taille normale."),
        ("REINS", "Pas de calcul."),
    ]


@pytest.mark.parametrize("heading", ["Indication", "TECHNIQUE", "Renseignements cliniques", "Antécédents"])
def test_what_was_asked_or_done_describes_nothing(heading: str) -> None:
    assert not sentences_of(f"{heading} : douleur du foie.")[0].describes


def test_what_is_found_describes() -> None:
    assert all(s.describes for s in sentences_of("Résultats : foie normal.\n\nThe liver is normal."))


@pytest.mark.parametrize(
    ("text", "language"),
    [("The liver is normal", "en"), ("Le foie est normal", "fr"), ("", "en"), ("Vésicule non vue", "fr")],
)
def test_the_language_is_known_by_common_words(text: str, language: str) -> None:
    assert language_of(text) == language
