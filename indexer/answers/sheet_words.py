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
    not_for_diagnosis: str
    by_likeness_alone: str
    asked_about: str
    asked_region: str
    most_alike: str
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
    series: tuple[str, str]
    frames: tuple[str, str]
    more_in_report: str


_WORDS: Final[dict[Language, SheetWords]] = {
    "en": SheetWords(
        title="Similar prior cases",
        not_for_diagnosis="Not for diagnosis",
        by_likeness_alone="ranked by visual likeness alone, computed without review",
        asked_about="Asked about",
        asked_region="Asked about a region",
        most_alike="Most alike, of other patients",
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
        series=("{} series", "{} series"),
        frames=("{} frame", "{} frames"),
        more_in_report="{} more in the report",
    ),
    "fr": SheetWords(
        title="Cas antérieurs semblables",
        not_for_diagnosis="Ne pas utiliser pour le diagnostic",
        by_likeness_alone="classés par ressemblance visuelle seule, calculée sans relecture",
        asked_about="Examen demandé",
        asked_region="Région demandée",
        most_alike="Les plus ressemblants, d'autres patients",
        same_patient="Le même patient à d'autres dates",
        carried_by="par la série {}",
        also="aussi {}",
        possible_same_person="peut-être la même personne",
        by_report="par son compte rendu",
        no_picture="pas d'image",
        withheld="non montré : un nom peut y figurer",
        score="score {}",
        none_found="Aucun cas antérieur semblable n'a été trouvé.",
        refused="Aucun cas semblable n'est montré.",
        compared_by="Comparé par {}",
        legend_map="là où deux images se ressemblent",
        legend_region="la région demandée, et où elle a été trouvée",
        legend_percent="Pourcentages : des paires de cas de cette modalité et région dans cette archive, "
        "sauf mention contraire.",
        legend_score="Scores de -1 à 1 : pas de pourcentage, trop peu de cas connus pour comparer.",
        series=("{} série", "{} séries"),
        frames=("{} image", "{} images"),
        more_in_report="{} de plus dans le compte rendu",
    ),
}
_PLANES_IN_FRENCH: Final = {"lateral": "latéral", "oblique": "oblique"}


def words_in(language: Language) -> SheetWords:
    """The words of one language."""
    return _WORDS[language]


def counted(number: int, forms: tuple[str, str]) -> str:
    """One of two forms, with its number."""
    return forms[0 if number == 1 else 1].format(number)


def acquisition(attributes: SeriesAttributes, language: Language) -> str:
    """Sequence and plane, as far as they are known."""
    plane = attributes.plane.lower()
    if language == "fr":
        plane = _PLANES_IN_FRENCH.get(plane, plane)
    return " ".join(part for part in (attributes.sequence, plane) if part)
