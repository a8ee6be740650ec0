"""Work that is told of line by line ends with the one who listens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.responses import JSONResponse, Response

from indexer.api.progress import Tell, told
from indexer.errors import Rejected


def test_who_leaves_before_the_first_line_ends_the_work_too() -> None:
    left, ended = threading.Event(), threading.Event()

    def work(tell: Tell) -> Response:
        assert left.wait(60)
        try:
            tell("embedding", 1, 1)
        except Rejected:
            ended.set()
        return JSONResponse({})

    async def gone() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_message: MutableMapping[str, Any]) -> None:
        await asyncio.Event().wait()

    async def answer() -> None:
        await told(work, 1)({"type": "http"}, gone, send)
        left.set()

    # In a thread of its own: a browser of other tests keeps a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(answer())).result()
    assert ended.wait(60)
