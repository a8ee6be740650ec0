"""Ways to ask on the page: regions, words, chosen cases, the same patient, files with progress, refusals."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect
from pydicom import Dataset, dcmread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.families import WrittenStudy
from indexer.answers.chronology import when
from indexer.api import ApiSettings
from indexer.domain import SeriesEmbedding
from indexer.errors import Rejected
from indexer.ledger import Background
from indexer.search.judging import REFUSED, Judge
from tests.browser import Visit, drag, faults_of, until, visit_of, wait_for_picture
from tests.fakes.answers import write
from tests.fakes.encoder import FakeEncoder
from tests.fakes.house import Furnished, served
from tests.fakes.reports import report
from tests.fakes.watched import Watched
from tests.indexer.api.test_sending import with_sending
from tests.indexer.conftest import Studies

pytestmark = pytest.mark.browser


def asked_about(visit: Visit, study: WrittenStudy) -> None:
    visit.go(f"/?study={study.study_instance_uid}")
    visit.matched()
    wait_for_picture(visit.example())


def begin_region(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Region", exact=True).click()
    expect(visit.page.get_by_role("application")).to_be_focused()


# A region


def test_a_region_is_drawn_with_the_mouse_and_asked_with(visit: Visit, studies: Studies) -> None:
    asked_about(visit, studies.old("brain-mr")[0])
    begin_region(visit)
    stage = visit.page.locator("#example .stage")
    drag(visit.page, stage, (0.2, 0.3), (0.7, 0.6))
    expect(stage.locator(".asked .over")).to_have_count(1)
    visit.page.get_by_role("button", name="Ask with this region").click()
    expect(visit.page.locator("#example .segment[aria-pressed=true]")).to_have_text("Region")
    question = visit.questions()[-1]
    region = question["region"]
    assert question["example"] == {key: region[key] for key in ("sop_instance_uid", "frame_number")}
    assert [region[side] for side in ("left", "top", "width", "height")] == pytest.approx(
        [0.2, 0.3, 0.5, 0.3], abs=0.02
    )
    assert visit.matched()


def test_a_region_is_drawn_by_keys_alone_and_said_aloud(visit: Visit, studies: Studies) -> None:
    asked_about(visit, studies.old("chest-cr")[0])
    begin_region(visit)
    keys = visit.page.keyboard
    keys.press("ArrowRight")
    status = visit.page.locator("#example [role=status]", has_text="Region:")
    expect(status).to_contain_text("35 % from the left")
    keys.press("ArrowRight")
    keys.press("Shift+ArrowDown")
    expect(status).to_contain_text("37 % from the left, 35 % from the top, 30 % wide, 32 % high")
    keys.press("Escape")
    expect(visit.page.locator("#example .asked")).to_have_count(0)
    keys.press("ArrowUp")
    keys.press("Enter")
    expect(visit.page.locator("#example .segment[aria-pressed=true]")).to_have_text("Region")
    assert visit.questions()[-1]["region"]["left"] == 0.35


def test_the_address_of_a_region_asks_the_same_again(visit: Visit, studies: Studies) -> None:
    asked_about(visit, studies.old("brain-mr")[0])
    begin_region(visit)
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("#example .segment[aria-pressed=true]")).to_have_text("Region")
    assert "region=0.35,0.35,0.3,0.3" in visit.page.url
    visit.page.reload()
    visit.matched()
    assert visit.questions()[-1] == visit.questions()[-2]
    expect(visit.page.locator("#example .asked .over")).to_have_count(1)


def test_where_the_region_was_found_is_marked_in_the_match(visit: Visit, studies: Studies) -> None:
    asked_about(visit, studies.old("brain-mr")[0])
    begin_region(visit)
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("Enter")
    expect(visit.matches.first.locator(".place .over")).to_have_count(1)
    visit.matches.first.locator(".match-picture").click()
    dialog = visit.page.locator("#compare")
    expect(dialog.locator(".place .over")).to_have_count(1)
    expect(dialog.locator(".asked .over")).to_have_count(1)
    expect(dialog).to_contain_text("the region asked about, and where it was found")
    script = "marks => marks.map((mark) => getComputedStyle(mark).stroke)"

    def colours() -> set[str]:
        return set(dialog.locator(".marks .over").evaluate_all(script))

    # A mark that is drawn again meanwhile has no colour.
    until(visit.page, lambda: len(drawn := colours()) == 1 and "" not in drawn)


def test_a_region_is_drawn_on_the_picture_of_an_upload_and_the_files_are_sent_again(
    visit: Visit, studies: Studies
) -> None:
    visit.go()
    visit.drop(*studies.new("chest-cr").paths)
    visit.matched()
    wait_for_picture(visit.example())
    begin_region(visit)
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("#example .segment[aria-pressed=true]")).to_have_text("Region")
    uploads = [request for request in visit.requests if "api/search/upload" in request.url]
    (region,) = parse_qs(urlsplit(uploads[-1].url).query)["region"]
    assert region.split(",")[1:] == ["1", "0.35", "0.35", "0.3", "0.3"]
    assert uploads[-1].headers["content-type"] == "application/dicom"


# Chosen cases


def test_cases_are_chosen_by_a_click_each_round_after_round_and_taken_away_again(
    visit: Visit, studies: Studies
) -> None:
    asked_about(visit, studies.old("brain-mr")[0])
    visit.matches.nth(0).get_by_role("button", name="More like this").click()
    chips = visit.page.locator(".chip")
    expect(chips).to_have_count(1)
    expect(visit.matches.first).to_be_visible()
    expect(visit.page.locator("#content")).to_have_attribute("aria-busy", "false")
    visit.matches.nth(2).get_by_role("button", name="Less like this").click()
    expect(chips).to_have_count(2)
    expect(visit.page.locator("#content")).to_have_attribute("aria-busy", "false")
    question = visit.questions()[-1]
    assert len(question["more"]) == len(question["less"]) == 1
    assert question["example"] == visit.questions()[0]["example"]
    wait_for_picture(chips.first)
    chips.nth(1).get_by_role("button", name="Remove:").click()
    expect(chips).to_have_count(1)
    expect(visit.page.locator("#content")).to_have_attribute("aria-busy", "false")
    assert visit.questions()[-1]["less"] == []
    visit.page.get_by_role("button", name="Remove all").click()
    expect(chips).to_have_count(0)


def test_a_chosen_case_that_is_still_shown_is_pressed(visit: Visit, studies: Studies) -> None:
    asked_about(visit, studies.old("brain-mr")[0])
    study = visit.matches.nth(1).get_attribute("data-study")
    visit.matches.nth(1).get_by_role("button", name="Less like this").click()
    row = visit.page.locator(f'.match[data-study="{study}"]')
    expect(visit.page.locator(".chip")).to_have_count(1)
    expect(visit.page.locator("#content")).to_have_attribute("aria-busy", "false")
    if row.count():
        expect(row.get_by_role("button", name="Less like this")).to_have_attribute("aria-pressed", "true")


def test_files_are_sent_again_with_the_chosen_cases(visit: Visit, studies: Studies) -> None:
    visit.go()
    visit.drop(*studies.new("brain-mr").paths)
    visit.matched()
    visit.matches.first.get_by_role("button", name="More like this").click()
    expect(visit.page.locator(".chip")).to_have_count(1)
    expect(visit.page.locator("#content")).to_have_attribute("aria-busy", "false")
    uploads = [request for request in visit.requests if "api/search/upload" in request.url]
    assert len(uploads) == 2
    assert len(parse_qs(urlsplit(uploads[-1].url).query)["more"]) == 1


# Lanes and variety


def test_the_same_patient_has_a_lane_of_its_own(
    house: Furnished, page: Page, studies: Studies, tmp_path: Path
) -> None:
    example = studies.old("chest-cr")[0]
    earlier = dcmread(studies.new("chest-cr").paths[0])
    earlier.PatientID = dcmread(example.paths[0]).PatientID
    earlier.save_as(tmp_path / "earlier.dcm")
    house.index_series([tmp_path / "earlier.dcm"])
    with served(house.app()) as url:
        visit = visit_of(page, url)
        asked_about(visit, example)
        expect(page.locator(".lane")).to_have_count(0)
        page.get_by_label("Same patient too").check()
        lane = page.get_by_role("region", name="Same patient")
        study = lane.locator(f'[data-study="{earlier.StudyInstanceUID}"]')
        expect(study).to_be_visible()
        assert str(earlier.StudyInstanceUID) not in visit.matched()
        told = study.locator(".when")
        expect(told).to_have_text(when(iso(earlier), iso(dcmread(example.paths[0])), "relative"))
        study.get_by_role("button", name="Compare with the study").click()
        expect(page.locator("#compare")).to_contain_text("Same patient,")
        assert not visit.complaints


def iso(dataset: Dataset) -> date:
    return date.fromisoformat(str(dataset.StudyDate))


def test_varied_cases_are_asked_for_by_a_switch(visit: Visit, studies: Studies) -> None:
    asked_about(visit, studies.old("chest-cr")[0])
    assert visit.questions()[-1]["diversity"] == 0
    visit.page.get_by_label("Varied cases").check()
    expect(visit.page.locator("#content")).to_have_attribute("aria-busy", "false")
    assert visit.questions()[-1]["diversity"] > 0


# Words


def test_words_are_asked_with_where_an_encoder_reads(house: Furnished, page: Page, studies: Studies) -> None:
    house.languages = ("en", "fr")
    with served(house.app()) as url:
        visit = visit_of(page, url)
        visit.go()
        box = page.get_by_label("What a match shall show")
        box.fill("top")
        expect(page.locator("#words .weight")).to_be_hidden()
        page.get_by_role("button", name="Ask", exact=True).click()
        assert visit.matched()
        assert "example" not in visit.questions()[-1]
        expect(visit.example()).to_contain_text("top")
        expect(visit.page.get_by_role("button", name="Where alike")).to_have_count(0)
        asked_about(visit, studies.old("chest-cr")[0])
        box.fill("left")
        box.press("Enter")
        expect(page.locator("#content")).to_have_attribute("aria-busy", "false")
        assert visit.questions()[-1]["text"] == "left"
        weight = page.get_by_label("Weight of the words beside the example")
        weight.focus()
        weight.press("ArrowRight")
        expect(page.locator("#content")).to_have_attribute("aria-busy", "false")
        assert visit.questions()[-1]["text_weight"] == pytest.approx(0.6)
        assert not visit.complaints


def test_words_beside_files_stand_in_no_address(house: Furnished, page: Page, studies: Studies) -> None:
    house.languages = ("en", "fr")
    with served(house.app()) as url:
        visit = visit_of(page, url)
        visit.go()
        page.get_by_label("What a match shall show").fill("left Zoé")
        visit.drop(*studies.new("chest-cr").paths)
        assert visit.matched()
        [sent] = [request for request in visit.requests if "api/search/upload" in request.url]
        assert base64.b64decode(sent.headers["x-cbir-text"]).decode() == "left Zoé"
        for request in visit.requests:
            assert "left" not in request.url + request.headers.get("x-cbir-query", "")
        assert not visit.complaints


def test_reports_that_are_dropped_are_read_where_that_is_ticked(
    house: Furnished, page: Page, studies: Studies, tmp_path: Path
) -> None:
    new = studies.new("chest-cr")
    [told] = write(tmp_path / "told", report("new", "top"))
    [silent] = write(tmp_path / "silent", report("new", "", StudyInstanceUID=new.study_instance_uid))
    house.languages = ("en", "fr")
    with served(house.app()) as url:
        visit = visit_of(page, url)
        visit.go()
        tick = page.get_by_label("Read reports that I drop")
        expect(tick).not_to_be_checked()
        visit.drop(told)
        expect(visit.example()).to_contain_text("1 file sent")
        expect(visit.matches).to_have_count(0)
        tick.check()
        assert visit.matched()
        expect(visit.example()).to_contain_text("words of 1 report")
        assert faults_of(page) == []
        visit.drop(*new.paths, silent)
        expect(visit.example()).to_contain_text("1 report that tells nothing to ask with")
        assert visit.matched()
        page.locator("#language").click()
        expect(page.get_by_label("Lire les comptes rendus déposés")).to_be_checked()
        expect(visit.example()).to_contain_text("1 compte rendu où rien ne peut être demandé")
        sent = [request.url for request in visit.requests if "api/search/upload" in request.url]
        assert [parse_qs(urlsplit(one).query)["reads_reports"] for one in sent] == [
            ["false"],
            ["true"],
            ["true"],
        ]
        assert not visit.complaints


def test_when_the_encoder_that_reads_goes_nothing_more_is_asked_in_words(
    house: Furnished, page: Page, studies: Studies, tmp_path: Path
) -> None:
    new = studies.new("chest-cr")
    told = write(tmp_path / "told", report("new", "top", StudyInstanceUID=new.study_instance_uid))
    house.languages = ("en",)
    with served(house.app()) as url:
        visit = visit_of(page, url)
        visit.go()
        page.get_by_label("What a match shall show").fill("left")
        page.get_by_label("Read reports that I drop").check()
        house.languages, house.encoder.reads = (), False
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator("#words")).to_be_hidden()
        visit.drop(*new.paths, *told)
        assert visit.matched()
        [sent] = [request for request in visit.requests if "api/search/upload" in request.url]
        assert parse_qs(urlsplit(sent.url).query)["reads_reports"] == ["false"]
        assert "x-cbir-text" not in sent.headers
        assert not visit.complaints


def test_where_no_encoder_reads_there_is_no_box_and_the_help_says_how_to_get_one(visit: Visit) -> None:
    visit.go()
    expect(visit.tiles.first).to_be_visible()
    expect(visit.page.locator("#words")).to_be_hidden()
    visit.page.get_by_role("button", name="Help").click()
    expect(visit.page.locator("#help")).to_contain_text("cbir train image-text")


# Files


class Held(FakeEncoder):
    """Embeds a series once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        self.begun.release()
        self.let.acquire(timeout=120)
        return super().embed(instances, frame_number)


@pytest.fixture
def held(house: Furnished) -> Iterator[Held]:
    held = Held()
    house.encoder = held
    yield held
    held.let.release(100)


def test_while_files_are_embedded_the_page_says_how_far_it_is(
    held: Held, visit: Visit, studies: Studies
) -> None:
    visit.go()
    visit.drop(*studies.new("brain-mr").paths)
    line = visit.example().get_by_role("status")
    bar = visit.example().get_by_role("progressbar")
    expect(line).to_have_text("Looking at series 1 of 2 …")
    first = float(str(bar.get_attribute("value") or bar.evaluate("bar => bar.value")))
    held.let.release()
    expect(line).to_have_text("Looking at series 2 of 2 …")
    assert float(bar.evaluate("bar => bar.value")) > first
    held.let.release()
    assert visit.matched()


class Buffering:
    """What stands between: it passes an answer on when all of it is there."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self.app(scope, receive, keep if scope["type"] == "http" else send)
        for message in kept:
            await send(message)


def test_where_progress_is_held_back_the_bar_does_not_pretend_to_know(
    house: Furnished, held: Held, page: Page, studies: Studies
) -> None:
    with served(Buffering(house.app())) as url:
        visit = visit_of(page, url)
        visit.go()
        visit.drop(*studies.new("brain-mr").paths)
        expect(visit.example().get_by_role("status")).to_have_text("Comparing …")
        bar = visit.example().get_by_role("progressbar")
        assert bar.get_attribute("value") is None
        held.let.release(2)
        assert visit.matched()


def test_an_upload_that_is_refused_says_how_many_files_were_sent(
    house: Furnished, visit: Visit, studies: Studies
) -> None:
    house.index.unavailable = True
    visit.go()
    visit.drop(*studies.new("brain-mr").paths)
    expect(visit.page.get_by_role("alert")).to_contain_text("does not answer")
    expect(visit.example()).to_contain_text("12 files sent")


def test_an_upload_can_be_given_up(house: Furnished, held: Held, page: Page, studies: Studies) -> None:
    app = Watched(house.app(ApiSettings(max_questions=1)), "/api/search/upload")
    with served(app) as url:
        visit = visit_of(page, url)
        visit.go()
        visit.drop(*studies.new("brain-mr").paths)
        expect(visit.example().get_by_role("status")).to_have_text("Looking at series 1 of 2 …")
        page.get_by_role("button", name="Cancel").click()
        expect(visit.tiles.first).to_be_visible()
        assert app.left.wait(60)
        held.let.release(10)
        assert held.begun.acquire(timeout=60)
        until(page, lambda: not is_busy(url, studies.old("chest-cr")[0]))
        assert not held.begun.acquire(blocking=False), "the second series was embedded for nobody"
        assert not visit.complaints


def is_busy(url: str, study: WrittenStudy) -> bool:
    """Whether a question finds no place, because another one is being answered."""
    question = {"example": {"study_instance_uid": study.study_instance_uid}}
    return httpx.post(f"{url}/api/search", json=question, timeout=60, trust_env=False).status_code == 429


# Refusals


class Blank(FakeEncoder):
    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        raise Rejected("The frame is blank.", reason="blank_frame")


def test_a_refusal_is_explained_calmly_and_is_no_error(
    house: Furnished, page: Page, studies: Studies
) -> None:
    house.encoder = Blank()
    with served(house.app()) as url:
        visit = visit_of(page, url)
        visit.go()
        visit.drop(*studies.new("chest-cr").paths)
        state = visit.page.locator(".state.refused")
        expect(state).to_contain_text("No case is shown")
        expect(state).to_contain_text("one grey level")
        expect(visit.page.get_by_role("alert")).to_have_count(0)
        expect(visit.matches).to_have_count(0)
        expect(visit.example()).to_contain_text("1 file sent")
        expect(state.get_by_text("blank_frame")).to_be_hidden()
        visit.page.get_by_role("button", name="Switch to French").click()
        expect(state).to_contain_text("un niveau de gris")
        assert not visit.complaints


def test_every_refusal_has_words_in_both_languages(visit: Visit) -> None:
    visit.go()
    reasons = [*REFUSED, "unknown_to_encoder", "no_nearer_than_chance"]
    said = visit.page.evaluate(
        """async (reasons) => {
          const { refusalCard } = await import("./web/states.js");
          const { speak } = await import("./web/language.js");
          const card = (reason) => refusalCard({ reason, message: "only the server says it" }).textContent;
          return ["fr", "en"].flatMap((language) => (speak(language), reasons.map(card)));
        }""",
        reasons,
    )
    assert len(said) == 2 * len(reasons)
    assert not [text for text in said if "only the server says it" in text]


def test_nothing_like_it_in_the_archive_is_a_refusal_too(
    house: Furnished, page: Page, studies: Studies
) -> None:
    alike = Background("CR", "CHEST", 5000, np.full(101, 0.9999, np.float32), np.full(50, 0.9999, np.float32))
    house.judge = Judge(background=lambda *_: alike)
    with served(house.app()) as url:
        visit = visit_of(page, url)
        visit.go(f"/?study={studies.old('abdomen-ct')[0].study_instance_uid}")
        expect(visit.page.locator(".state.refused")).to_contain_text("two cases taken at random")
        wait_for_picture(visit.example())
        assert not visit.complaints


# Sending


def test_cases_are_sent_where_that_is_configured(house: Furnished, page: Page, studies: Studies) -> None:
    carrier = with_sending(house)
    with served(house.app()) as url:
        visit = visit_of(page, url)
        asked_about(visit, studies.old("chest-cr")[0])
        found = visit.matched()
        visit.matches.nth(1).get_by_role("button", name="Send").click()
        dialog = page.locator("#send")
        expect(dialog.get_by_role("checkbox", checked=True)).to_have_count(1)
        expect(dialog).to_contain_text("as they are, with the patients")
        for case in dialog.locator("label.check").all():
            case.scroll_into_view_if_needed()
            wait_for_picture(case)
        dialog.get_by_role("checkbox").nth(0).check()
        dialog.get_by_label("To").select_option("ROOM2")
        dialog.get_by_role("button", name="Send 2 cases").click()
        expect(dialog).to_be_hidden()
        expect(page.locator("#toast")).to_contain_text("2 instances sent to ROOM2")
        (sent,) = [request for request in visit.requests if request.url.endswith("/api/send")]
        assert sent.post_data_json == {
            "studies": found[:2],
            "destination": "ROOM2",
            "example": studies.old("chest-cr")[0].study_instance_uid,
        }
        assert len(carrier.sent["ROOM2"]) == 2
        assert not visit.complaints


def test_a_sending_that_takes_long_is_followed_and_sent_once(
    house: Furnished, page: Page, studies: Studies
) -> None:
    carrier = with_sending(house)
    carrier.slow, carrier.slow_s = threading.Event(), 60
    with served(house.app(ApiSettings(sending_wait_s=0))) as url:
        visit = visit_of(page, url)
        asked_about(visit, studies.old("chest-cr")[0])
        visit.matches.first.get_by_role("button", name="Send").click()
        dialog = page.locator("#send")
        dialog.get_by_role("checkbox").nth(1).check()
        dialog.get_by_role("button", name="Send 2 cases").click()
        expect(dialog).to_contain_text("of 2 sent")
        expect(dialog.get_by_role("checkbox").first).to_be_disabled()
        dialog.get_by_role("button", name="Close, it goes on").click()
        carrier.slow.set()
        expect(page.locator("#toast")).to_contain_text("2 instances sent to ROOM2")
    assert len(carrier.sent["ROOM2"]) == 2
    assert not visit.complaints


def test_a_sending_that_breaks_off_is_told_and_can_be_asked_for_again(
    house: Furnished, page: Page, studies: Studies
) -> None:
    carrier = with_sending(house)
    carrier.slow, carrier.breaks_after = threading.Event(), 1
    with served(house.app(ApiSettings(sending_wait_s=0))) as url:
        visit = visit_of(page, url)
        asked_about(visit, studies.old("chest-cr")[0])
        visit.matches.first.get_by_role("button", name="Send").click()
        dialog = page.locator("#send")
        dialog.get_by_role("checkbox").nth(1).check()
        dialog.get_by_role("button", name="Send 2 cases").click()
        expect(dialog.get_by_role("alert")).to_contain_text("It broke off: 1 of 2 instances were sent")
        expect(dialog.get_by_role("button", name="Send 2 cases")).to_be_enabled()


def test_before_cases_are_sent_the_page_says_that_they_lose_their_names(
    house: Furnished, page: Page, studies: Studies
) -> None:
    with_sending(house, "others")
    with served(house.app()) as url:
        visit = visit_of(page, url)
        asked_about(visit, studies.old("chest-cr")[0])
        visit.matches.first.get_by_role("button", name="Send").click()
        expect(page.locator("#send")).to_contain_text("de-identified before they go out")


def test_of_all_cases_those_that_are_alike_are_chosen_to_be_sent(
    house: Furnished, page: Page, studies: Studies
) -> None:
    with_sending(house)
    with served(house.app()) as url:
        visit = visit_of(page, url)
        asked_about(visit, studies.old("chest-cr")[0])
        alike = page.locator("ol.matches:not(.hardly) > li").count()
        assert 0 < alike < 10
        page.get_by_role("button", name="Send …").click()
        expect(page.locator("#send").get_by_role("checkbox")).to_have_count(10)
        expect(page.locator("#send").get_by_role("checkbox", checked=True)).to_have_count(alike)


def test_what_somebody_is_at_work_with_stays_when_it_is_learned_late_where_cases_may_be_sent(
    house: Furnished, page: Page, studies: Studies
) -> None:
    with_sending(house)
    late: list[Route] = []
    page.route("**/api/destinations", lambda route: late.append(route))  # noqa: PLW0108 - marked by it
    with served(house.app()) as url:
        visit = visit_of(page, url)
        asked_about(visit, studies.old("chest-cr")[0])
        visit.matches.first.get_by_text("References").click()
        begin_region(visit)
        page.keyboard.press("ArrowRight")
        until(page, lambda: bool(late))
        expect(page.get_by_role("button", name="Send")).to_have_count(0)
        late[0].continue_()
        expect(page.get_by_role("button", name="Send …")).to_be_visible()
        expect(visit.matches.first.get_by_role("button", name="Send")).to_be_visible()
        expect(page.get_by_role("application")).to_be_focused()
        expect(page.locator("#example .asked .over")).to_have_count(1)
        expect(visit.matches.first.get_by_role("button", name="Copy Study")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator("#example .segment[aria-pressed=true]")).to_have_text("Region")
        expect(page.get_by_role("button", name="Send …")).to_be_visible()
        assert not visit.complaints


def test_where_nothing_can_be_sent_nothing_offers_it(visit: Visit, studies: Studies) -> None:
    with visit.page.expect_response("**/api/destinations"):
        asked_about(visit, studies.old("chest-cr")[0])
    expect(visit.page.get_by_role("button", name="Send")).to_have_count(0)
