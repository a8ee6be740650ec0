"""Asked through Orthanc, a caller is shown only what Orthanc itself would show her."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from demo.families import FAMILIES, WrittenStudy, write_studies
from demo.walk import Walk, hospital
from tests.integration.conftest import ASKING, store, wait_until_indexed

pytestmark = pytest.mark.orthanc

RIGHTS_WAIT_S = 60.0
LIMITED = ("limited", "her password")
SPINES = tuple(family for family in FAMILIES if family.name == "spine-mr")

# Orthanc asks this before it answers: the limited user sees the series that a file names, and the service.
FILTER = """
function IncomingHttpRequestFilter(method, uri, ip, username, headers)
  if username ~= 'limited' then return true end
  local series = string.match(uri, '^/series/([-0-9a-f]+)')
  if series == nil then return string.sub(uri, 1, 5) == '/cbir' end
  local file = io.open('{shown}')
  local text = file:read('*a')
  file:close()
  return string.find(text, series, 1, true) ~= nil
end
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names the series that the limited user may see."""
    path = tmp_path_factory.mktemp("rights") / "shown.txt"
    path.write_text("")
    return path


@pytest.fixture(scope="module")
def spines(tmp_path_factory: pytest.TempPathFactory) -> list[WrittenStudy]:
    return list(write_studies(tmp_path_factory.mktemp("studies"), per_family=6, families=SPINES))


@pytest.fixture(scope="module")
def filled(
    orthanc_binary: Path,
    tmp_path_factory: pytest.TempPathFactory,
    shown: Path,
    spines: Sequence[WrittenStudy],
) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("hospital")
    script = folder / "filter.lua"
    script.write_text(FILTER.replace("{shown}", str(shown)))
    password = "the service's password"
    users = {"demo": password, LIMITED[0]: LIMITED[1]}
    extra = {"RegisteredUsers": users, "LuaScripts": [str(script)]}
    with hospital(folder, password=password, extra=extra) as walk:
        for study in spines:
            store(study.paths, walk.orthanc.dicom_port, walk.orthanc.ae_title)
        wait_until_indexed(walk, Console(quiet=True), series=len(spines))
        yield walk


def ask(walk: Walk, study_instance_uid: str) -> httpx.Response:
    return httpx.post(
        f"{walk.orthanc.http_url}/cbir/api/search",
        json={"example": {"study_instance_uid": study_instance_uid}},
        headers=ASKING,
        auth=LIMITED,
        timeout=120,
        trust_env=False,
    )


@pytest.fixture(scope="module")
def before(filled: Walk, spines: Sequence[WrittenStudy]) -> httpx.Response:
    """The answer to her question about the first study before she was shown any."""
    return ask(filled, spines[0].study_instance_uid)


@pytest.fixture(scope="module")
def visible(filled: Walk, spines: Sequence[WrittenStudy], shown: Path, before: httpx.Response) -> set[str]:
    """The studies that she may see since then, beside the first."""
    del before  # she has been answered
    example, *others = [study.study_instance_uid for study in spines]
    listed = httpx.get(f"{filled.service.url}/api/series?limit=100", trust_env=False, timeout=120)
    orthanc_id = {row["study_instance_uid"]: row["orthanc_id"] for row in listed.json()["series"]}
    visible = others[1:3]
    shown.write_text("\n".join(orthanc_id[uid] for uid in (example, *visible)))
    until_remembered_rights_expire(filled, example)
    return set(visible)


def test_only_the_series_that_orthanc_shows_her_match(
    filled: Walk, spines: Sequence[WrittenStudy], before: httpx.Response, visible: set[str]
) -> None:
    assert before.status_code == 404, "even the example is unknown to her"
    answer = ask(filled, spines[0].study_instance_uid)
    assert answer.status_code == 200, answer.text
    assert {match["study_instance_uid"] for match in answer.json()["matches"]} == visible


@pytest.mark.usefixtures("visible")
def test_the_list_of_studies_holds_only_hers(filled: Walk) -> None:
    answer = httpx.get(
        f"{filled.orthanc.http_url}/cbir/api/studies?limit=100", auth=LIMITED, trust_env=False, timeout=120
    )
    assert len(answer.json()["studies"]) == 3


@pytest.mark.usefixtures("visible")
def test_a_picture_of_what_she_may_not_see_is_not_found(filled: Walk, spines: Sequence[WrittenStudy]) -> None:
    hidden = httpx.get(
        f"{filled.service.url}/api/studies/{spines[-1].study_instance_uid}", trust_env=False, timeout=120
    ).json()["series"][0]["frames"][0]
    path = f"/api/instances/{hidden['sop_instance_uid']}/frames/1/rendered"
    direct = httpx.get(f"{filled.service.url}{path}", trust_env=False, timeout=120)
    assert (direct.status_code, direct.headers["content-type"]) == (200, "image/png")
    through = httpx.get(f"{filled.orthanc.http_url}/cbir{path}", auth=LIMITED, trust_env=False, timeout=120)
    assert through.status_code == 404


def until_remembered_rights_expire(walk: Walk, study_instance_uid: str) -> None:
    """Rights are remembered for a few seconds, not longer."""
    deadline = time.monotonic() + RIGHTS_WAIT_S
    while ask(walk, study_instance_uid).status_code != 200:
        assert time.monotonic() < deadline, "the caller's new rights are never looked at"
        time.sleep(0.2)
