"""The plugin, asked through Orthanc for what `cbir serve` knows: that takes all three, and the secret."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Final

import httpx

from cbir.doctor.finding import Finding, ok, problem, warning

VERSION_HEADER: Final = "X-CBIR-Plugin"
_UNREACHED: Final = "Indexer unavailable"
_REFUSALS: Final[Mapping[str, tuple[str, str]]] = {
    "Indexer refused the plugin": (
        "`cbir serve` turns the plugin away: its secret is another one.",
        "Make CBIR.Secret in orthanc.json and CBIR_PLUGIN_SECRET the same, and restart both.",
    ),
    "Plugin disabled": (
        "The plugin found its settings wrong.",
        'Orthanc\'s log says which: see the "CBIR" section of orthanc.json.',
    ),
    _UNREACHED: (
        "The plugin is loaded and does not reach `cbir serve`.",
        "See that CBIR.IndexerUrl in orthanc.json leads to `cbir serve` from where Orthanc runs.",
    ),
}
"""By the title of the plugin's own problem documents: what was found, and what to do."""


def examine_plugin(client: httpx.Client, *, serving: bool) -> Finding:
    """Whether the plugin is loaded, of our release, reaches the service and is let in.

    Args:
        client: of Orthanc's REST API, with our account.
        serving: whether `cbir serve` runs.

    Raises:
        httpx.HTTPError: Orthanc does not answer.
    """
    answer = client.get("/cbir/api/status")
    if answer.is_success:
        return _release(answer.headers.get(VERSION_HEADER, "of unknown version"))
    title = _title(answer)
    if title == _UNREACHED and not serving:
        return warning(
            "plugin", "The plugin is loaded; `cbir serve` does not run.", "Start it and ask again."
        )
    if title in _REFUSALS:
        return problem("plugin", *_REFUSALS[title])
    if answer.status_code == httpx.codes.NOT_FOUND:
        return problem(
            "plugin",
            "Orthanc does not know /cbir/: the plugin is not loaded, and arrivals are noticed late.",
            'Set "Plugins" and "PythonScript" as in orthanc.json; Orthanc\'s log says why it was not loaded.',
        )
    return problem("plugin", f"The plugin answers {answer.status_code}.", "See Orthanc's log and ours.")


def _release(version: str) -> Finding:
    ours = metadata.version("pacs-cbir")
    if version == ours:
        return ok("plugin", f"The plugin {version} is loaded, reaches `cbir serve` and is let in.")
    return warning(
        "plugin",
        f"The plugin ({version}) works, and is of another release than `cbir` {ours}.",
        "Take the folder plugin/ of the same release, and restart Orthanc.",
    )


def _title(answer: httpx.Response) -> str:
    try:
        document = answer.json()
    except ValueError:
        return ""
    return str(document.get("title", "")) if isinstance(document, dict) else ""
