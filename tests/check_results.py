"""Calls an asset check directly, as a function of its resources."""

from dagster import AssetCheckResult, AssetChecksDefinition


def evaluate(check: AssetChecksDefinition, **resources: object) -> AssetCheckResult:
    """The result of a check that gives one."""
    result = check(**resources)
    assert isinstance(result, AssetCheckResult)
    return result


def shown(result: AssetCheckResult) -> dict[str, object]:
    """The check's metadata as plain values."""
    return {name: value.value for name, value in result.metadata.items()}
