"""What the doctor says of our own doors."""

from __future__ import annotations

from pydantic import SecretStr

from cbir.doctor.service import examine_service, is_serving
from cbir.ports import free_port
from cbir.settings import Settings
from indexer.destinations import Destination
from tests.cbir.doctor.findings import by_check

SECRET = SecretStr("s" * 32)


def test_a_service_that_does_not_run_is_a_warning() -> None:
    settings = Settings(http_port=free_port())
    assert not is_serving(settings)
    assert by_check(examine_service(settings, serving=False))["service"].level == "warning"


def test_doors_secrets_and_callers_are_judged() -> None:
    bare = by_check(examine_service(Settings(), serving=True))
    assert (bare["http_door"].level, bare["plugin_secret"].level) == ("ok", "problem")
    assert bare["callers"].level == "warning"
    caller = Destination.parse("WS1=10.0.0.5:104")
    settings = Settings(http_host="0.0.0.0", api_token=SECRET, plugin_secret=SECRET, callers=(caller,))  # noqa: S104
    whole = by_check(examine_service(settings, serving=True))
    assert (whole["http_door"].level, whole["plugin_secret"].level) == ("warning", "ok")
    assert "WS1" in whole["callers"].found
    assert "s" * 32 not in str(whole)


def test_a_port_that_is_open_to_the_network_without_a_token_is_a_problem() -> None:
    exposed = Settings().model_copy(update={"http_host": "0.0.0.0"})  # noqa: S104
    assert by_check(examine_service(exposed, serving=True))["http_door"].level == "problem"


def test_a_short_secret_is_warned_of() -> None:
    settings = Settings(plugin_secret=SecretStr("short"))
    assert by_check(examine_service(settings, serving=True))["plugin_secret"].level == "warning"
