"""Whether this process lives, and whether its neighbours answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fastapi import APIRouter
from starlette.responses import JSONResponse

from indexer.api.house import House, TheHouse
from indexer.errors import CbirError
from indexer.problems import problem

ANSWERS = "answers"
NOBODY = "1.2.3"

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """This process lives; says nothing of its neighbours."""
    return {"status": "alive"}


@router.get("/readyz", response_class=JSONResponse)
def readyz(house: TheHouse) -> JSONResponse:
    """Whether the ledger, the vector index and the archive answer, and which does not."""
    with ThreadPoolExecutor(3) as threads:
        asked = {name: threads.submit(_state, ask) for name, ask in _neighbours(house).items()}
        states = {name: state.result() for name, state in asked.items()}
    silent = [name for name, state in states.items() if state != ANSWERS]
    if silent:
        return problem(
            503, f"No answer from: {', '.join(silent)}.", f"{silent[0]}_unavailable", neighbours=states
        )
    return JSONResponse({"status": "ready", "neighbours": states})


def _neighbours(house: House) -> dict[str, Callable[[], object]]:
    return {
        "ledger": house.ledger.counts,
        "vector_index": lambda: house.indexed([NOBODY]),
        "archive": lambda: house.archive.series_of_study(NOBODY),
    }


def _state(ask: Callable[[], object]) -> str:
    try:
        ask()
    except CbirError as error:
        return str(error)
    return ANSWERS
