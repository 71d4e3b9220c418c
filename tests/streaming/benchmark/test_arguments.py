"""The command line of the benchmark."""

from pathlib import Path

import pytest

from streaming.benchmark.arguments import Engine, Options, TestType, parse_arguments
from streaming.benchmark.platform_worker import Duties
from streaming.benchmark.session import plan


def test_no_argument_is_a_full_report_of_the_platform() -> None:
    """Throughput, latency at three rates, stress, a kill, and the capacity under both duties."""
    options = parse_arguments([])
    assert options == Options()
    assert [(each.test_type, each.eps) for each in plan(options)] == [
        (TestType.THROUGHPUT, 100_000),
        (TestType.LATENCY, 20_000),
        (TestType.LATENCY, 50_000),
        (TestType.LATENCY, 100_000),
        (TestType.STRESS, 150_000),
        (TestType.RECOVERY, 100_000),
        (TestType.CAPACITY, None),
        (TestType.CAPACITY, None),
    ]


def test_flags_of_the_specification_are_understood() -> None:
    options = parse_arguments(
        ["--test-type", "throughput", "--target-eps", "90000", "--duration", "30", "--duties", "windows",
         "--bootstrap", "h:9092", "--json", "out.json"]
    )  # fmt: skip
    assert options.test_type is TestType.THROUGHPUT
    assert (options.target_eps, options.duration_s, options.bootstrap) == (90_000, 30.0, "h:9092")
    assert (options.duties, options.json) == (Duties.WINDOWS, Path("out.json"))
    (planned,) = plan(options)
    assert (planned.eps, planned.duration_s, planned.duties) == (90_000, 30.0, Duties.WINDOWS)


def test_recovery_has_ten_times_as_many_windows_open() -> None:
    (planned,) = plan(parse_arguments(["--test-type", "recovery"]))
    assert (planned.eps, planned.users) == (100_000, 50_000)
    (planned,) = plan(parse_arguments(["--test-type", "recovery", "--users", "70"]))
    assert planned.users == 70


def test_stress_plans_its_peak_load() -> None:
    (planned,) = plan(parse_arguments(["--test-type", "stress", "--peak-load", "120000"]))
    assert planned.eps == 120_000


def test_latency_at_a_given_rate_is_one_measurement() -> None:
    (planned,) = plan(parse_arguments(["--test-type", "latency", "--target-eps", "7000"]))
    assert planned.eps == 7_000


def test_several_engines_are_compared_by_capacity_of_windows_only() -> None:
    options = parse_arguments(["--engine", "platform", "faust", "quix"])
    assert [(each.engine, each.test_type, each.duties) for each in plan(options)] == [
        (engine, TestType.CAPACITY, Duties.WINDOWS) for engine in (Engine.PLATFORM, Engine.FAUST, Engine.QUIX)
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--test-type", "latency", "--engine", "faust"], "capacity only"),
        (["--target-eps", "0"], "not more than 0"),
        (["--duration", "soon"], "invalid float value"),
        (["--test-type", "speed"], "--test-type"),
        (["--users", "100001"], "more than 100,000"),
        (["--duplicate-share", "2"], "not between 0 and 0.5"),
    ],
)
def test_wrong_argument_is_named_and_ends_with_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_help_shows_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "--test-type throughput --target-eps 100000 --duration 60" in shown
    assert "exit code" in shown
