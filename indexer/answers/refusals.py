"""Why a question is refused, in the language of whoever reads the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from indexer.answers.words import Language
from indexer.domain import Refusal

_DAMAGED: Final = (
    "L'image ne peut pas être lue : ses pixels sont abîmés ou tronqués. Renvoyez-la d'où elle vient, ou "
    "demandez avec une autre série."
)
_COMPRESSED: Final = (
    "L'image est comprimée d'une façon qui n'est pas lue ici. Envoyez-la sans compression (Explicit VR "
    "Little Endian), ou demandez avec une autre série."
)
_NO_IMAGE: Final = (
    "Ce qui a été envoyé ne contient aucune image qui puisse être comparée. Envoyez les images de l'examen."
)
_NO_WORDS: Final = (
    "Le compte rendu envoyé ne dit rien de ce qui se voit : il n'y a pas de mots avec lesquels demander. "
    "Envoyez les images de l'examen, ou un compte rendu rédigé."
)
_NO_ANSWER: Final = (
    "Une partie du système n'a pas répondu à temps. Renvoyez l'examen plus tard ; si cela dure, prévenez "
    "l'administrateur."
)
IN_FRENCH: Final[Mapping[str, str]] = {
    "no_encoder": "Les images de cette modalité ne peuvent pas être comparées ici : aucun encodeur ne les "
    "prend en charge. Demandez avec une autre série, ou faites activer un encodeur pour cette modalité.",
    "blank_frame": "L'image ne montre rien : elle n'a qu'un seul niveau de gris. Demandez avec une "
    "autre image.",
    "degenerate_vector": "L'encodeur ne voit dans cette image rien qui puisse être comparé. Demandez avec "
    "une autre image de l'examen.",
    "no_finite_pixel": "L'image ne montre rien : aucun pixel n'a de valeur. Demandez avec une autre image.",
    "truncated_pixel_data": _DAMAGED,
    "undecodable_pixel_data": _DAMAGED,
    "transfer_syntax_mismatch": _DAMAGED,
    "invalid_header": _DAMAGED,
    "invalid_palette": _DAMAGED,
    "decoder_crashed": _DAMAGED,
    "decode_timeout": _DAMAGED,
    "unsupported_transfer_syntax": _COMPRESSED,
    "missing_decoder": _COMPRESSED,
    "unknown_to_encoder": "Cet examen ne ressemble pas aux images pour lesquelles la recherche a été conçue, "
    "et aucun cas de cette archive n'y ressemble. Vérifiez que la bonne série a été envoyée ; un type "
    "d'image que l'encodeur ne connaît pas demande un autre encodeur.",
    "no_nearer_than_chance": "Rien dans cette archive n'y ressemble : le cas le plus proche ne l'est pas "
    "plus que deux cas pris au hasard. Demandez avec une autre série, ou de nouveau quand davantage de cas "
    "de ce type seront indexés.",
    "region_not_seen": "L'encodeur ne voit rien dans la région marquée. Marquez une autre région, ou envoyez "
    "l'examen sans marque.",
    "not_configured": "Cette demande comporte des mots, et aucun encodeur utilisé ici ne lit de texte. "
    "Envoyez l'examen à un autre titre d'AE, qui demande sans mots, ou faites activer un encodeur qui lit.",
    "unknown_words": "L'encodeur ne connaît aucun des mots de cette demande. Envoyez l'examen à un autre "
    "titre d'AE, ou faites changer ces mots par l'administrateur.",
    "empty_report": _NO_WORDS,
    "no_report": _NO_WORDS,
    "unreadable_report": "Le compte rendu envoyé est illisible. Renvoyez-le d'où il vient, ou envoyez "
    "les images de l'examen.",
    "no_case_flagged": "L'objet clé envoyé ne marque aucun cas : donnez-lui le titre Of Interest (plus comme "
    "ce cas) ou Rejected for Quality Reasons (moins comme ce cas), et choisissez une image d'un cas qu'une "
    "réponse récente a montré à cette station. Pour demander des cas semblables à un examen, envoyez ses "
    "images.",
    "unsupported": _NO_IMAGE,
    "no_pixel_data": _NO_IMAGE,
    "no_instances": _NO_IMAGE,
    "report": _NO_IMAGE,
    "gave_up": "Le service a échoué sur cet examen. Renvoyez-le, ou demandez avec une autre série.",
    "unavailable": _NO_ANSWER,
    "archive_unavailable": _NO_ANSWER,
    "vector_index_unavailable": _NO_ANSWER,
    "ledger_unavailable": _NO_ANSWER,
    "encoder_unavailable": _NO_ANSWER,
    "overloaded": _NO_ANSWER,
}
"""What is said in French for a reason; the English sentence comes with the refusal."""

IN_ENGLISH: Final[Mapping[str, str]] = {
    "not_configured": "This question has words, and no encoder that is searched here reads text. Send the "
    "study to another AE title, which asks without words, or let the administrator activate an encoder that "
    "reads.",
}
"""What a person who asks is told in place of the sentence that comes with the refusal, which is a command."""

_OTHERWISE: Final = (
    "Ce qui a été envoyé ne peut pas être comparé (raison : {}). Demandez avec une autre série, ou prévenez "
    "l'administrateur."
)


def refusal_in_words(refusal: Refusal, language: Language) -> str:
    """Why nothing is shown and what to do, in sentences; a reason without words of its own is named."""
    if language == "en":
        return IN_ENGLISH.get(refusal.reason) or refusal.message
    return IN_FRENCH.get(refusal.reason) or _OTHERWISE.format(refusal.reason)
