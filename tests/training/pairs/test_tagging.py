"""Sentences of a report by the organ that they speak of."""

from __future__ import annotations

import pytest

from evaluation.lexicon import default_lexicon
from training.errors import TrainingError
from training.pairs.tagging import LexiconTagger, QuickUmlsTagger, tagged_sentences

TAGGER = LexiconTagger(default_lexicon())


def test_sentences_go_with_their_organs_and_headings() -> None:
    report = (
        "INDICATION: pain of the bladder.\n\nFINDINGS:\nLiver: normal size. No focal lesion.\n"
        "Kidneys: no hydronephrosis. The spleen is enlarged."
    )
    assert tagged_sentences(report, TAGGER) == {
        "liver": ("normal size.", "No focal lesion."),
        "kidney": ("no hydronephrosis.",),
        "spleen": ("The spleen is enlarged.",),
    }


def test_a_heading_gives_no_organ_that_its_sentence_says_is_gone() -> None:
    assert tagged_sentences("Gallbladder: status post cholecystectomy.", TAGGER) == {}
    assert tagged_sentences("Vésicule biliaire : non vue, cholécystectomie.", TAGGER) == {}


def test_a_french_report_is_read_as_french() -> None:
    report = "RÉSULTATS :\nLe foie est homogène. La rate n'est pas augmentée de volume."
    assert set(tagged_sentences(report, TAGGER)) == {"liver", "spleen"}


def test_organs_may_be_taken_together_in_regions() -> None:
    regions = LexiconTagger(default_lexicon(), "region")
    report = "The liver and the spleen are normal. The lungs are clear. Lymph nodes are enlarged."
    assert set(tagged_sentences(report, regions)) == {"abdomen", "thorax"}


def test_without_quickumls_it_says_what_to_do() -> None:
    with pytest.raises(TrainingError, match="lexicon"):
        QuickUmlsTagger("/nowhere")
