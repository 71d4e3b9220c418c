"""Log lines are JSON objects, one a line, whatever is logged."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from resources.telemetry import configure_logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the root logger writes, put back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logging("tests", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_names_time_level_service_and_logger(stream: io.StringIO) -> None:
    logging.getLogger("some.part").warning("Slow %s", "disk", extra={"seconds": 3})
    (line,) = lines(stream)
    assert str(line.pop("time")).endswith("+00:00")
    assert line == {
        "level": "warning",
        "service": "tests",
        "logger": "some.part",
        "message": "Slow disk",
        "seconds": 3,
    }


@pytest.mark.parametrize("value", ["a\r\nb", "\u2028", '{"level":"error"}', "\ud800", b"bytes", object(), {1: {2}}])
def test_no_value_breaks_or_forges_a_line(stream: io.StringIO, value: object) -> None:
    logging.getLogger("x").info("Value", extra={"value": value, "level": "forged"})
    assert stream.getvalue().count("\n") == 1
    (line,) = lines(stream)
    assert line["level"] == "info"


def test_an_exception_stands_in_its_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("x").exception("It failed")
    (line,) = lines(stream)
    assert "ValueError: broken" in str(line["exception"])


def test_configuring_again_does_not_double_the_lines(stream: io.StringIO) -> None:
    configure_logging("tests", stream=stream)
    logging.getLogger("x").info("Once")
    assert len(lines(stream)) == 1
