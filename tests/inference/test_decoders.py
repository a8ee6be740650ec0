from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pebble.pool.base_pool import PoolStatus, Task

from indexer.errors import Rejected, TooLarge, Unavailable, Unsupported
from inference.decoders import Decoders
from inference.limits import Limits
from tests.fakes import decoder_calls as calls
from tests.fakes.workstation import wait_until

ROOT = Path(__file__).parents[2]
MEMORY_BYTES = 256 * 2**20


@pytest.fixture(scope="module")
def impatient() -> Iterator[Decoders]:
    """Two decoders that give a call five seconds."""
    with Decoders(Limits(timeout_s=5.0, memory_bytes=MEMORY_BYTES), processes=2) as pool:
        yield pool


@pytest.fixture(scope="module")
def patient() -> Iterator[Decoders]:
    """Two decoders that give a call more than any machine needs for it."""
    with Decoders(Limits(timeout_s=120.0, memory_bytes=MEMORY_BYTES), processes=2) as pool:
        yield pool


def is_alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_dead(process_id: int, seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not is_alive(process_id):
            return True
        time.sleep(0.05)
    return False


def reason_of(pool: Decoders, function: object, *args: object) -> str:
    with pytest.raises(Rejected) as refused:
        pool.result(pool.submit(function, *args))  # type: ignore[arg-type]
    return refused.value.reason


def test_a_call_is_answered_by_another_process(patient: Decoders) -> None:
    assert patient.result(patient.submit(calls.double, 21)) == 42
    assert patient.result(patient.submit(calls.process_id)) != os.getpid()


def test_a_decoder_that_never_returns_is_killed_and_the_pool_goes_on(
    impatient: Decoders, tmp_path: Path
) -> None:
    note = tmp_path / "process"
    assert reason_of(impatient, calls.note_and_never_return, note) == "decode_timeout"
    assert wait_until_dead(int(note.read_text()))
    assert impatient.result(impatient.submit(calls.double, 4)) == 8


@pytest.mark.parametrize("deadly", [(calls.leave, 3), (calls.crash,)])
def test_a_decoder_that_dies_costs_only_its_own_call(patient: Decoders, deadly: tuple[object, ...]) -> None:
    assert reason_of(patient, *deadly) == "decoder_crashed"
    assert patient.result(patient.submit(calls.double, 5)) == 10


def test_good_calls_among_deadly_ones_are_all_answered(patient: Decoders) -> None:
    deadly = [patient.submit(calls.leave, 1) for _ in range(6)]
    good = [patient.submit(calls.double, n) for n in range(30)]
    assert [patient.result(call) for call in good] == [2 * n for n in range(30)]
    for call in deadly:
        with pytest.raises(Rejected):
            patient.result(call)


def test_memory_is_bounded(patient: Decoders) -> None:
    with pytest.raises(TooLarge):
        patient.result(patient.submit(calls.fill_memory, 2**30))
    assert patient.result(patient.submit(calls.fill_memory, 2**24)) == 2**24


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_memory_of_one_frame_serves_the_next(patient: Decoders) -> None:
    """Given back to the kernel and fetched again, it would cost more than rendering does."""
    faults = [
        patient.result(patient.submit(calls.page_faults_of_one_more_array, 16 * 2**20)) for _ in range(5)
    ]
    assert min(faults) < 100, "the kernel looks after pages of its own accord too, but not each time"


def test_our_own_refusals_arrive_as_they_were_raised(patient: Decoders) -> None:
    with pytest.raises(Unsupported) as refused:
        patient.result(patient.submit(calls.refuse))
    assert refused.value.reason == "report"


def test_an_unforeseen_error_is_a_refusal_that_does_not_quote_the_file(
    patient: Decoders, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Rejected) as refused:
        patient.result(patient.submit(calls.stumble))
    assert refused.value.reason == "undecodable_pixel_data"
    assert "DOE" not in str(refused.value) + caplog.text


def test_a_decoder_writes_nothing_anywhere(tmp_path: Path) -> None:
    program = """
from pathlib import Path
from inference.decoders import Decoders
from inference.limits import Limits
from tests.fakes import decoder_calls

if __name__ == "__main__":
    with Decoders(Limits(timeout_s=120.0), processes=1) as pool:
        print(pool.result(pool.submit(decoder_calls.chatter, "DOE^JANE")))
"""
    script = tmp_path / "chatter.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout.strip() == "5 ways"
    assert "DOE" not in done.stdout + done.stderr


def test_decoders_do_not_load_the_encoder_runtime(patient: Decoders) -> None:
    loaded = patient.result(patient.submit(calls.loaded_modules))
    assert "pydicom" in loaded
    assert "onnxruntime" not in loaded


def test_a_pool_that_lost_an_idle_process_goes_on(patient: Decoders) -> None:
    patient.result(patient.submit(calls.double, 1))
    for _ in range(3):
        os.kill(patient.result(patient.submit(calls.process_id)), signal.SIGKILL)
        time.sleep(0.5)
        assert patient.result(patient.submit(calls.double, 1)) == 2


def test_a_call_that_comes_while_the_pool_breaks_is_made_by_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An idle process dies; the pool takes one more call and gives up before it has handed that on."""
    with Decoders(Limits(timeout_s=60), processes=1) as pool:
        decoder = pool.result(pool.submit(calls.process_id))
        broken = pool._pool
        queue = broken._context.task_queue
        put = queue.put

        def put_late(task: Task | None) -> None:
            if task is not None and is_alive(decoder):
                os.kill(decoder, signal.SIGKILL)
                wait_until(lambda: broken._context.status == PoolStatus.ERROR)
            put(task)

        monkeypatch.setattr(queue, "put", put_late)
        assert pool.result(pool.submit(calls.double, 21)) == 42


def test_closing_does_not_wait_for_a_hanging_call(tmp_path: Path) -> None:
    pool, note = Decoders(Limits(timeout_s=600), processes=1), tmp_path / "process"
    call = pool.submit(calls.note_and_never_return, note)
    raised: list[type[BaseException]] = []

    def wait() -> None:
        try:
            pool.result(call)
        except Unavailable as error:
            raised.append(type(error))

    waiter = threading.Thread(target=wait)
    waiter.start()
    wait_until(note.exists)
    started = time.monotonic()
    pool.close()
    waiter.join(timeout=120)
    assert raised == [Unavailable]
    assert time.monotonic() - started < 120
    with pytest.raises(Unavailable):
        pool.submit(calls.double, 1)


HANGING_SERVER = """
import sys
from pathlib import Path
from inference.decoders import Decoders
from inference.limits import Limits
from tests.fakes import decoder_calls as calls

if __name__ == "__main__":
    pool = Decoders(Limits(timeout_s=600), processes=1)
    pool.result(pool.submit(calls.note_and_never_return, Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="decoders follow their parent into death on Linux only")
def test_a_hanging_decoder_does_not_outlive_a_killed_server(tmp_path: Path) -> None:
    script, note = tmp_path / "server.py", tmp_path / "process"
    script.write_text(HANGING_SERVER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen([sys.executable, str(script), str(note)], env=environment, cwd=ROOT)
    end = time.monotonic() + 120
    while not (note.exists() and note.read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    decoder = int(note.read_text())
    assert is_alive(decoder)
    server.kill()
    server.wait()
    assert wait_until_dead(decoder)


def test_no_decoder_is_left_when_the_pool_is_closed() -> None:
    with Decoders(Limits(), processes=2) as pool:
        process_id = pool.result(pool.submit(calls.process_id))
    assert wait_until_dead(process_id)


STOPPED_WHILE_STARTING = """
import sys
import time
from pathlib import Path
from inference.decoders import Decoders
from inference.limits import Limits
from tests.fakes import decoder_calls as calls

hanging = Path(sys.argv[1])

if __name__ == "__mp_main__" and list(hanging.parent.glob("started-*")):
    time.sleep(2)  # every decoder but the first is slow to start
if __name__ == "__mp_main__":
    (hanging.parent / f"started-{time.monotonic_ns()}").touch()

if __name__ == "__main__":
    pool = Decoders(Limits(), processes=4)
    pool.submit(calls.note_and_never_return, hanging)
    while not hanging.exists():
        time.sleep(0.01)
    pool.close()
"""


def test_decoders_that_are_stopped_while_they_start_print_nothing(tmp_path: Path) -> None:
    """The one that hangs is stopped first, in seconds; the others go on starting in that time."""
    script = tmp_path / "script.py"
    script.write_text(STOPPED_WHILE_STARTING)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "hanging")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_a_deep_temporary_folder_keeps_no_decoder_from_starting(tmp_path: Path) -> None:
    """A Unix socket's path is short; TMPDIR need not be."""
    deep = tmp_path / ("deep" * 20)
    deep.mkdir()
    script = (
        "from inference.decoders import Decoders; from inference.limits import Limits;"
        "from tests.fakes import decoder_calls as calls;"
        "pool = Decoders(Limits(), processes=1);"
        "print(pool.result(pool.submit(calls.double, 21))); pool.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(deep), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "42", done.stderr


def test_where_no_process_can_be_started_the_file_is_not_at_fault() -> None:
    """In a process of its own, which may start no other."""
    script = (
        "import resource; from inference.decoders import Decoders, DecodersUnavailable;"
        "from inference.limits import Limits; from tests.fakes import decoder_calls as calls\n"
        "pool = Decoders(Limits(), processes=1)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "try:\n    pool.result(pool.submit(calls.double, 21))\n"
        "except DecodersUnavailable as down:\n    print(down.reason, flush=True)\n"
        "import os; os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "decoders_unavailable", done.stderr
