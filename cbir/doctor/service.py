"""Our own doors: does `cbir serve` run, and who may come in."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from cbir.doctor.finding import Finding, ok, problem, warning
from cbir.settings import LOOPBACK, Settings

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}  # noqa: S104 - what is asked in its place
WAIT_S = 20.0


def is_serving(settings: Settings) -> bool:
    """Whether our page answers where the settings say."""
    try:
        answer = httpx.get(f"{_url(settings)}/healthz", timeout=WAIT_S, trust_env=False)
        return answer.is_success and answer.json().get("status") == "alive"
    except (httpx.HTTPError, ValueError, AttributeError):
        return False


def examine_service(settings: Settings, *, serving: bool) -> Iterator[Finding]:
    """Whether the service runs, and what its settings open."""
    if serving:
        yield ok("service", f"`cbir serve` runs and answers at {_url(settings)}.")
    else:
        yield warning(
            "service",
            f"`cbir serve` does not answer at {_url(settings)}: not everything can be looked at.",
            "Start it and ask again; if it runs, give this command its CBIR_HTTP_HOST and CBIR_HTTP_PORT.",
        )
    yield _door(settings)
    if settings.folder is None:
        yield _secret(settings)
    yield _callers(settings)


def _door(settings: Settings) -> Finding:
    if settings.http_host in LOOPBACK:
        return ok("http_door", "The page and the API are open to this machine only.")
    if not settings.api_token.get_secret_value():
        return problem(
            "http_door",
            "The page and the API are open to the network without a token.",
            "Set CBIR_API_TOKEN.",
        )
    return warning(
        "http_door",
        f"The page and the API listen on {settings.http_host} without encryption.",
        "Keep the port inside the deployment's own network, or put a reverse proxy with TLS before it.",
    )


def _secret(settings: Settings) -> Finding:
    length = len(settings.plugin_secret.get_secret_value())
    if not length:
        return problem(
            "plugin_secret",
            "CBIR_PLUGIN_SECRET is empty: the plugin is turned away.",
            "Set it to what CBIR.Secret in orthanc.json holds.",
        )
    if length < 16:
        return warning(
            "plugin_secret", f"The plugin's secret has {length} characters.", "Take `openssl rand -hex 32`."
        )
    return ok("plugin_secret", "The plugin's secret is set.")


def _callers(settings: Settings) -> Finding:
    if not settings.callers:
        return warning(
            "callers",
            f"Nobody may send a study to the AE title {settings.ae_title}.",
            "Name the workstations in CBIR_CALLERS: WS1=10.0.0.5:104.",
        )
    named = ", ".join(caller.ae_title for caller in settings.callers)
    return ok("callers", f"{len(settings.callers)} may ask by DICOM: {named}.")


def _url(settings: Settings) -> str:
    host = ANY_ADDRESS.get(settings.http_host, settings.http_host)
    return f"http://{host}:{settings.http_port}"
