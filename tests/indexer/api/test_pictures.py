"""The API shows frames as pictures, a few at a time."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from PIL import Image

from indexer.api.application import RENDERINGS_WAITING
from indexer.ports import Window
from tests.fakes.encoder import FakeEncoder
from tests.fakes.house import Furnished
from tests.fakes.workstation import wait_until
from tests.indexer.api.asking import asked, picture_path, problem
from tests.indexer.conftest import Studies


def test_a_frame_is_rendered_as_a_png_of_the_wanted_size(client: httpx.Client, studies: Studies) -> None:
    answer = client.get(picture_path(client, studies.old("chest-cr")[0]), params={"size": 64})
    assert answer.headers["content-type"] == "image/png"
    assert "private" in answer.headers["cache-control"]
    with Image.open(io.BytesIO(answer.content)) as image:
        assert max(image.size) == 64


def test_a_picture_that_did_not_change_is_not_sent_or_made_again(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    path = picture_path(client, studies.old("chest-cr")[0])
    first = client.get(path)
    rendered = house.encoder.rendered
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(path).content == first.content
    assert house.encoder.rendered == rendered


def test_a_frame_is_rendered_through_the_window_that_is_asked_for_and_kept_by_it(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    path = picture_path(client, studies.old("chest-cr")[0])
    plain = client.get(path).content
    narrow = client.get(path, params={"window_center": 0.5, "window_width": 0.1}).content
    with Image.open(io.BytesIO(narrow)) as image:
        assert image.text == {"WindowCenter": "0.5", "WindowWidth": "0.1"}  # type: ignore[attr-defined]
    assert narrow != plain
    rendered = house.encoder.rendered
    assert client.get(path).content == plain
    assert client.get(path, params={"window_center": 0.5, "window_width": 0.1}).content == narrow
    assert house.encoder.rendered == rendered
    problem(client.get(path, params={"window_center": 0.5}), 422)
    problem(client.get(path, params={"window_center": 0.5, "window_width": -1}), 422)
    problem(client.get(path, params={"window_center": "nan", "window_width": "inf"}), 422)


def test_a_picture_of_what_was_deleted_is_404_at_once(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    path = picture_path(client, studies.old("chest-cr")[0])
    assert client.get(path).status_code == 200
    house.archive.delete_instance(path.split("/")[3])
    problem(client.get(path), 404)


def test_a_frame_that_is_not_there_is_404_and_a_size_that_is_none_422(
    client: httpx.Client, studies: Studies
) -> None:
    path = picture_path(client, studies.old("chest-cr")[0])
    problem(client.get(path.replace("/frames/1/", "/frames/99/")), 404)
    problem(client.get(path.replace("/frames/1/", "/frames/0/")), 422)
    problem(client.get(path, params={"size": 1_000_000}), 422)


class Unhurried(FakeEncoder):
    """Renders nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def render(
        self, instance: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        assert self.let.wait(120)
        return super().render(instance, frame_number, longest_side, window)


def test_more_pictures_at_once_than_may_wait_are_429_and_those_that_waited_are_shown(
    house: Furnished, studies: Studies
) -> None:
    house.encoder = encoder = Unhurried()
    too_many = 3
    asking = 1 + RENDERINGS_WAITING + too_many
    with asked(house, max_renderings=1) as client, ThreadPoolExecutor(asking) as threads:
        path = picture_path(client, studies.old("chest-cr")[0])
        asked_for = [threads.submit(client.get, path, params={"size": 64 + n}) for n in range(asking)]
        try:
            wait_until(lambda: sum(one.done() for one in asked_for) >= too_many)
        finally:
            encoder.let.set()
        answers = [one.result() for one in asked_for]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert too_many <= len(refused) < asking
    for answer in refused:
        assert problem(answer, 429)["reason"] == "overloaded"
        assert int(answer.headers["retry-after"]) > 0
