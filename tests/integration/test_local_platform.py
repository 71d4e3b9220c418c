"""The supervisor on real processes: killed processes, a killed supervisor, a killed and a recycled broker, the end."""

import os
import secrets
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import Platform, Sender

pytestmark = [pytest.mark.integration, pytest.mark.alone]


def accepting(status: dict[str, object]) -> bool:
    return bool(status["accepting"])


def states(status: dict[str, list[dict[str, object]]]) -> dict[str, object]:
    """The state of each process; before the first start there is none."""
    found = dict.fromkeys(("broker", "api", "worker"), object())
    return found | {str(process["name"]): process["state"] for process in status["processes"]}


def test_taken_port_is_named_with_the_setting_that_changes_it(platform: Platform) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", int(platform.environment["ANALYTICS_API__PORT"])))
        listener.listen()
        finished = platform.analytics("up", "--detach", "--no-demo")
    assert finished.returncode == 1
    assert "ANALYTICS_API__PORT" in finished.stderr
    assert platform.processes() == []


def test_reset_deletes_only_a_folder_that_up_has_made(platform: Platform) -> None:
    platform.data_dir.mkdir()
    mine = platform.data_dir / "mine.txt"
    mine.write_text("keep")
    assert platform.analytics("reset", "--yes").returncode == 1
    assert "holds other files" in platform.analytics("up", "--no-demo").stderr
    assert mine.read_text() == "keep"


def test_killed_processes_come_back_and_nothing_acknowledged_is_lost_or_doubled(platform: Platform) -> None:
    up = platform.start("--no-demo", "--detach")
    platform.wait(accepting, "accepting")
    with Sender(platform) as sender:
        for name in ("worker", "api", "worker"):
            status = platform.wait(lambda s, name=name: states(s)[name] == "ready", f"{name} ready")  # type: ignore[misc]
            before = next(process for process in status["processes"] if process["name"] == name)
            os.kill(before["pid"], signal.SIGKILL)
            platform.wait(
                lambda s, before=before, name=name: any(  # type: ignore[misc]
                    process["name"] == name and process["restarts"] > before["restarts"] and process["state"] == "ready"
                    for process in s["processes"]
                ),
                f"{name} restarted",
            )
    finished = platform.analytics("down")
    assert finished.returncode == 0, finished.stderr
    assert "Everything that was acknowledged has landed" in finished.stderr
    up.wait(10)  # it looks on, and ends when it sees that the platform has
    assert platform.processes() == []
    landed = platform.landed_ids()
    assert sender.sent <= set(landed)
    # The killed door may have stored a request that it never answered, and its client sent that once more; the
    # warehouse keeps one of each. No kill of the worker doubles anything.
    assert len(landed) - len(set(landed)) <= 100


def test_next_start_adopts_what_a_killed_supervisor_left(platform: Platform) -> None:
    platform.start("--no-demo", "--detach")
    platform.wait(lambda s: states(s)["worker"] == "ready", "worker ready")
    before = platform.status()
    os.kill(before["supervisor"], signal.SIGKILL)
    platform.wait(lambda s: s["supervisor"] is None, "supervisor gone")
    assert platform.send("while-nobody-looks").status_code == 202
    platform.start("--no-demo", "--detach")
    after = platform.wait(lambda s: s["supervisor"] is not None and accepting(s), "accepting again")
    kept = {process["name"]: process["pid"] for process in after["processes"]}
    for process in before["processes"]:
        if process["name"] in ("broker", "api", "worker"):
            assert kept[process["name"]] == process["pid"]
    platform.analytics("down")
    assert platform.sql("SELECT event_id FROM landing.events") == ["while-nobody-looks"]


def test_killed_broker_costs_what_had_not_landed_and_says_so(tmp_path: Path) -> None:
    # Files stay open for longer than a worker that comes back has before the broker dies; `down` waits for them.
    slow = Platform(tmp_path / "data", ANALYTICS_STREAMING__MAX_FILE_AGE_S="10")
    try:
        slow.start("--no-demo", "--detach")
        status = slow.wait(lambda s: states(s)["worker"] == "ready", "worker ready")
        worker = next(process["pid"] for process in status["processes"] if process["name"] == "worker")
        os.kill(worker, signal.SIGSTOP)
        assert slow.send(*(f"lost-{number}" for number in range(50))).status_code == 202
        assert slow.wait(lambda s: s["events"]["under_way"] == 50, "under way")["events"]["lost"] == 0
        os.kill(worker, signal.SIGKILL)
        os.kill(slow.process("broker")["pid"], signal.SIGKILL)
        status = slow.wait(lambda s: s["events"]["lost"] == 50, "reported as lost")
        slow.wait(lambda s: states(s)["worker"] == "ready" and accepting(s), "back")
        assert slow.send("kept").status_code == 202
        assert "50 lost with the broker" in slow.analytics("status").stdout
        slow.analytics("down")
        assert slow.sql("SELECT event_id FROM landing.events") == ["kept"]
    finally:
        slow.destroy()


def test_recycled_broker_loses_and_doubles_nothing(tmp_path: Path) -> None:
    small = Platform(tmp_path / "data", ANALYTICS_KAFKA__EMBEDDED_MEMORY_LIMIT_MB="96")
    try:
        small.start("--no-demo", "--detach")
        small.wait(lambda s: states(s)["worker"] == "ready", "worker ready")
        first = small.process("broker")["pid"]
        sent: list[str] = []
        deadline = time.monotonic() + 120
        while small.process("broker")["pid"] in (first, None):
            assert time.monotonic() < deadline, "the broker was not recycled"
            for _ in range(40):
                ids = [f"e-{len(sent) + index}" for index in range(10)]
                try:
                    # Random, because the log is compressed.
                    if small.send(*ids, payload={"filler": secrets.token_hex(20_000)}).status_code == 202:
                        sent += ids
                except httpx.TransportError:
                    time.sleep(0.2)
        small.wait(lambda s: states(s)["worker"] == "ready" and accepting(s), "back")
        assert small.send("after").status_code == 202
        small.analytics("down")
        (counts,) = small.sql("SELECT count(*), count(DISTINCT event_id), count(DISTINCT log) FROM landing.events")
        rows, distinct, logs = map(int, counts.split(","))
        assert distinct == len(sent) + 1
        assert rows == distinct
        assert logs >= 2
    finally:
        small.destroy()
