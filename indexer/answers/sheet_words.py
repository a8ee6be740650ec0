"""The words of the contact sheet, in English and French."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from indexer.answers.words import Language
from indexer.domain import SeriesAttributes


@dataclass(frozen=True, slots=True)
class SheetWords:
    """One language. `{}` takes a number or a name."""

    title: str
    titles: tuple[str, str]
    no_similar_title: str
    not_for_diagnosis: str
    by_likeness_alone: str
    by_what_was_asked: str
    asked: str
    asked_alone: str
    asked_about: str
    asked_region: str
    most_alike: str
    best_answers: str
    hardly_alike: str
    other_kind: str
    same_patient: str
    carried_by: str
    also: str
    possible_same_person: str
    by_report: str
    no_picture: str
    withheld: str
    score: str
    none_found: str
    refused: str
    compared_by: str
    legend_map: str
    legend_region: str
    legend_percent: str
    legend_score: str
    legend_of_words: str
    legend_rank: str
    numbered_series: str
    series_asked: str
    more_series: str
    series: tuple[str, str]
    frames: tuple[str, str]
    more_in_report: str


_WORDS: Final[dict[Language, SheetWords]] = {
    "en": SheetWords(
        title="Similar prior cases",
        titles=("{} similar prior case", "{} similar prior cases"),
        no_similar_title="No similar prior case",
        not_for_diagnosis="Not for diagnosis",
        by_likeness_alone="ranked by visual likeness alone, computed without review",
        by_what_was_asked="ranked by computed likeness to what was asked, without review",
        asked="Asked:",
        asked_alone="Asked",
        asked_about="Asked about",
        asked_region="Asked about a region",
        most_alike="Most alike, of other patients",
        best_answers="Best answers, of other patients",
        hardly_alike="Hardly alike",
        other_kind="another kind of image",
        same_patient="The same patient at other times",
        carried_by="by series {}",
        also="also {}",
        possible_same_person="possibly the same person",
        by_report="by its report",
        no_picture="no picture",
        withheld="not shown: a name may stand in it",
        score="score {}",
        none_found="No similar prior case was found.",
        refused="No similar cases are shown.",
        compared_by="Compared by {}",
        legend_map="where two frames look alike",
        legend_region="the region asked about, and where it was found",
        legend_percent="Percentages: of pairs of cases of this modality and body part in this archive, "
        "where not said otherwise.",
        legend_score="Scores from -1 to 1: no percentage, too few cases are known to compare with.",
        legend_of_words="Scores from -1 to 1: how well a case answers what was asked for. Percentages are "
        "known only of images that are asked about.",
        legend_rank="Ranks: by all series asked about together. Percentages and their words: by the one "
        "series that carried the case.",
        numbered_series="series {}",
        series_asked="Asked about:",
        more_series="and {} more series",
        series=("{} series", "{} series"),
        frames=("{} frame", "{} frames"),
        more_in_report="{} more in the report",
    ),
    "fr": SheetWords(
        title="Cas antérieurs semblables",
        titles=("{} cas antérieur semblable", "{} cas antérieurs semblables"),
        no_similar_title="Aucun cas antérieur semblable",
        not_for_diagnosis="Ne pas utiliser pour le diagnostic",
        by_likeness_alone="classés par la seule ressemblance visuelle, calculée sans relecture",
        by_what_was_asked="classés par ressemblance calculée avec ce qui est demandé, sans relecture",
        asked="Demandé :",
        asked_alone="Demandé",
        asked_about="Examen soumis",
        asked_region="Région soumise",
        most_alike="Les plus ressemblants, chez d'autres patients",
        best_answers="Les meilleures réponses, chez d'autres patients",
        hardly_alike="Peu ressemblants",
        other_kind="autre type d'image",
        same_patient="Le même patient à d'autres dates",
        carried_by="par la série {}",
        also="aussi {}",
        possible_same_person="peut-être la même personne",
        by_report="par son compte rendu",
        no_picture="pas d'image",
        withheld="masqué : un nom peut y figurer",
        score="score {}",
        none_found="Aucun cas antérieur semblable n'a été trouvé.",
        refused="Aucun cas semblable n'est montré.",
        compared_by="Comparé par {}",
        legend_map="là où deux images se ressemblent",
        legend_region="la région soumise, et l'endroit où elle a été retrouvée",
        legend_percent="Pourcentages : parmi les paires de cas de même modalité et de même région anatomique "
        "dans cette archive, sauf mention contraire.",
        legend_score="Scores de -1 à 1 : pas de pourcentage, trop peu de cas sont connus pour comparer.",
        legend_of_words="Scores de -1 à 1 : à quel point un cas répond à la demande. Des pourcentages ne "
        "sont connus que pour des images soumises.",
        legend_rank="Rang : d'après toutes les séries soumises ensemble. Pourcentage et mots : d'après la "
        "seule série qui a porté le cas.",
        numbered_series="série {}",
        series_asked="Séries soumises :",
        more_series="et {} autres séries",
        series=("{} série", "{} séries"),
        frames=("{} image", "{} images"),
        more_in_report="{} de plus dans le rapport structuré",
    ),
}
_ACQUISITIONS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "LOC": "localizer",
        "CONTRAST": "contrast",
        "NONCONTRAST": "no contrast",
        "T2STAR": "T2*",
        "T1CE": "T1 + contrast",
        "PERF": "perfusion",
        "ORAL": "oral contrast",
        "RECTAL": "rectal contrast",
    },
    "fr": {
        "LOC": "repérage",
        "CONTRAST": "avec contraste",
        "NONCONTRAST": "sans contraste",
        "T2STAR": "T2*",
        "T1CE": "T1 + contraste",
        "PERF": "perfusion",
        "ORAL": "contraste oral",
        "RECTAL": "contraste rectal",
        "FRONTAL": "face",
        "LATERAL": "profil",
    },
}
"""Sequences and planes that a reader calls otherwise than we do; the page has the same."""


def words_in(language: Language) -> SheetWords:
    """The words of one language."""
    return _WORDS[language]


def counted(number: int, forms: tuple[str, str]) -> str:
    """One of two forms, with its number."""
    return forms[0 if number == 1 else 1].format(number)


def acquisition(attributes: SeriesAttributes, language: Language) -> str:
    """Sequence and plane, as far as they are known."""
    known, plane = _ACQUISITIONS[language], attributes.plane
    return " ".join(
        part for part in (sequence(attributes, language), known.get(plane, plane.lower())) if part
    )


def sequence(attributes: SeriesAttributes, language: Language) -> str:
    """Which kind of acquisition of its modality it is; empty where that is not known."""
    return _ACQUISITIONS[language].get(attributes.sequence, attributes.sequence)
