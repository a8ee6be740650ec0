"""Our further AE titles: are they answered to, and can be asked what they ask?"""

from __future__ import annotations

from collections.abc import Iterator

from cbir.doctor.associations import greet, own_host
from cbir.doctor.finding import Finding, ok, problem, warning
from cbir.doctor.storage import remembered_line_ups
from cbir.settings import Settings
from indexer.ae.admission import CALLED_AE_TITLE_NOT_RECOGNISED
from indexer.ae.preset import Preset
from inference.card import EncoderError
from inference.registry import Registry
from inference.text import NO_TEXT_ENCODER


def examine_presets(settings: Settings, *, serving: bool) -> Iterator[Finding]:
    """Each of CBIR_AE_PRESETS: what it asks for, and whether the service answers to it and can ask so."""
    reads = _somebody_reads(settings) if settings.ae_presets else True
    for preset in settings.ae_presets:
        check, title = f"preset_{preset.ae_title}", preset.ae_title
        if serving and not _answers_to(settings, title):
            yield problem(
                check,
                f"{title} on port {settings.dimse_port} is not answered to.",
                "Start `cbir serve` again: it runs with other CBIR_AE_PRESETS.",
            )
        elif not reads and (preset.text or preset.reads_reports):
            yield warning(
                check,
                f"{title} cannot ask with words: a text, and a report with words, is refused.",
                NO_TEXT_ENCODER,
            )
        else:
            yield ok(check, f"{title} asks {_in_words(preset)}.")


def _answers_to(settings: Settings, title: str) -> bool:
    """Whether nobody says that this title is none; over TLS, and of who is not there, no more is known."""
    if settings.dimse_tls_certificate is not None:
        return True
    greeting = greet(own_host(settings), settings.dimse_port, calling=settings.ae_title, called=title)
    return greeting.diagnostic != CALLED_AE_TITLE_NOT_RECOGNISED


def _somebody_reads(settings: Settings) -> bool:
    """Whether an encoder that is searched has a text tower; one that cannot be used is told elsewhere."""
    remembered = remembered_line_ups(settings)
    if remembered is not None:
        return remembered.serving.text_encoder is not None
    registry = Registry(settings.encoders_dir, settings.non_commercial_encoders)
    try:
        return registry.line_up(settings.encoder_names).text_encoder is not None
    except EncoderError:
        return True


def _in_words(preset: Preset) -> str:
    filters = preset.filters
    said = [
        ("for modality ", " or ".join(filters.modality)),
        ("for body part ", " or ".join(filters.body_part_examined)),
        ("for studies from ", filters.study_date_from),
        ("for studies up to ", filters.study_date_to),
        ("for cases at most: ", preset.limit),
        ("with diversity ", preset.diversity),
        ("with a text, weight ", preset.text_weight if preset.text else ""),
        ("with the words of reports, weight ", preset.text_weight if preset.reads_reports else ""),
    ]
    return ", ".join(f"{what}{value}" for what, value in said if value) or "as the first title does"
