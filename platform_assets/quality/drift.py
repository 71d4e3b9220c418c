"""How far the distribution of a column is from a reference's: counts in SQL, formulas over the counts.

- PSI, the population stability index: sum over bins of (p - q) ln(p / q), p and q the shares of the bin in the data set
  and in the reference (Siddiqi, Credit Risk Scorecards, 2006). An empty bin counts as half a row. Between two samples
  of N and M rows of one distribution PSI / (1/N + 1/M) is about chi-square distributed with bins - 1 degrees of freedom
  (Yurdakul & Naranjo, Statistical properties of the population stability index, 2020).
- KS, two-sample Kolmogorov-Smirnov: the largest distance of the two empirical distribution functions, with the
  asymptotic p-value at sqrt(NM / (N + M)) times the distance (Smirnov 1948; conservative where values repeat).
- Chi-square of homogeneity of the 2 x bins table, bins - 1 degrees of freedom (Pearson 1900).

Numbers and times are put into bins at the reference's quantiles; every other value is a category. Nulls are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from platform_assets.quality.dataset import Dataset
from platform_assets.quality.expectations import Drift
from platform_assets.quality.row_rules import CannotJudge, Reference
from platform_assets.quality.sql_text import is_float, is_moment, is_number, quoted

PSI_THRESHOLD = 0.2
P_VALUE_THRESHOLD = 0.001
MOST_CATEGORIES = 1000


@dataclass(frozen=True)
class Distance:
    """How far two samples are apart. `p_value`: how often samples of one distribution are this far apart or farther."""

    statistic: float
    p_value: float


def population_stability(observed: Sequence[int], reference: Sequence[int]) -> Distance:
    """PSI of the counts by bin; both have rows."""
    n, m = sum(observed), sum(reference)
    pairs = [(max(a, 0.5) / n, max(b, 0.5) / m) for a, b in zip(observed, reference, strict=True) if a or b]
    psi = sum((p - q) * math.log(p / q) for p, q in pairs)
    return Distance(psi, _chi_square_tail(psi / (1 / n + 1 / m), len(pairs) - 1))


def homogeneity(observed: Sequence[int], reference: Sequence[int]) -> Distance:
    """Chi-square of the counts by bin; both have rows."""
    n, m = sum(observed), sum(reference)
    pairs = [(a, b) for a, b in zip(observed, reference, strict=True) if a or b]
    statistic = sum((math.sqrt(m / n) * a - math.sqrt(n / m) * b) ** 2 / (a + b) for a, b in pairs)
    return Distance(statistic, _chi_square_tail(statistic, len(pairs) - 1))


def kolmogorov_smirnov(largest_distance: float, n: int, m: int) -> Distance:
    """The p-value of the largest distance between the distribution functions of n and m values."""
    from scipy.special import kolmogorov

    return Distance(largest_distance, float(kolmogorov(math.sqrt(n * m / (n + m)) * largest_distance)))


def is_drift(expectation: Drift, distance: Distance) -> bool:
    """Whether the distance is too large."""
    if expectation.method == "psi":
        # A small sample is apart by chance: 100 rows in 10 bins have an expected PSI of 0.09 and more.
        return distance.statistic > (expectation.threshold or PSI_THRESHOLD) and distance.p_value < P_VALUE_THRESHOLD
    return distance.p_value < (expectation.threshold or P_VALUE_THRESHOLD)


def measure_drift(
    expectation: Drift, dataset: Dataset, data_type: str, reference: Reference
) -> tuple[Distance, int, int]:
    """The distance and the numbers of values on both sides.

    Raises:
        CannotJudge: a side has no values, or the method does not fit the column's type.
    """
    column = expectation.reference_column or expectation.column
    if column not in reference.columns:
        raise CannotJudge(f"{expectation.reference} has no column `{column}`")
    is_ordered = is_number(data_type) or is_moment(data_type)
    if expectation.method == "ks" and not is_ordered:
        raise CannotJudge(f"`{expectation.column}` is {data_type}; ks needs numbers or times, use psi or chi_square")
    mine = _values(dataset.relation, expectation.column, data_type)
    theirs = _values(reference.relation, column, reference.columns[column])
    if expectation.method == "ks":
        query = _KS.format(mine=mine, theirs=theirs)
        ((distance, n, m),) = dataset.connection.execute(query, dict(dataset.parameters)).fetchall()
        _both_have_values(expectation, n or 0, m or 0)
        return kolmogorov_smirnov(float(distance), int(n), int(m)), int(n), int(m)
    shares = ", ".join(str(place / expectation.bins) for place in range(1, expectation.bins))
    query = (_BINNED if is_ordered else _CATEGORIES).format(mine=mine, theirs=theirs, shares=shares)
    counts = dataset.connection.execute(query, dict(dataset.parameters)).fetchall()
    if len(counts) > MOST_CATEGORIES:
        raise CannotJudge(f"`{expectation.column}` has more than {MOST_CATEGORIES:,} categories")
    observed, expected = [int(row[0]) for row in counts], [int(row[1]) for row in counts]
    _both_have_values(expectation, sum(observed), sum(expected))
    formula = population_stability if expectation.method == "psi" else homogeneity
    return formula(observed, expected), sum(observed), sum(expected)


def _both_have_values(expectation: Drift, n: int, m: int) -> None:
    if not n or not m:
        side = "the data set" if not n else expectation.reference
        raise CannotJudge(f"{side} has no values of `{expectation.column}` to compare")


def _values(relation: str, column: str, data_type: str) -> str:
    name = quoted(column)
    condition = f"{name} IS NOT NULL" + (f" AND NOT isnan({name})" if is_float(data_type) else "")
    return f"(SELECT {name} AS v FROM {relation} WHERE {condition})"  # noqa: S608 - quoted names


# Both distribution functions at every value that occurs.
_KS = """
WITH counted AS (
    SELECT v, count(*) FILTER (WHERE is_mine) AS a, count(*) FILTER (WHERE NOT is_mine) AS b
    FROM (SELECT v, true AS is_mine FROM {mine} UNION ALL SELECT v, false FROM {theirs})
    GROUP BY v
), cumulated AS (
    SELECT sum(a) OVER (ORDER BY v) AS a, sum(b) OVER (ORDER BY v) AS b, sum(a) OVER () AS n, sum(b) OVER () AS m
    FROM counted
)
SELECT max(abs(a / nullif(n, 0) - b / nullif(m, 0))), max(n)::BIGINT, max(m)::BIGINT FROM cumulated
"""
# The bin of a value is the number of the reference's inner quantiles below it.
_BINNED = """
WITH edges AS (
    SELECT list_distinct(quantile_disc(v, [{shares}])) AS inner_edges
    FROM {theirs}
), binned AS (
    SELECT len(list_filter(inner_edges, lambda edge: edge < v)) AS bin, is_mine
    FROM (SELECT v, true AS is_mine FROM {mine} UNION ALL SELECT v, false FROM {theirs}), edges
)
SELECT count(*) FILTER (WHERE is_mine), count(*) FILTER (WHERE NOT is_mine) FROM binned GROUP BY bin ORDER BY bin
"""
_CATEGORIES = """
SELECT count(*) FILTER (WHERE is_mine), count(*) FILTER (WHERE NOT is_mine)
FROM (SELECT v::VARCHAR AS v, true AS is_mine FROM {mine} UNION ALL SELECT v::VARCHAR, false FROM {theirs})
GROUP BY v ORDER BY v LIMIT 1001
"""


def _chi_square_tail(statistic: float, degrees: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(degrees, statistic)) if degrees > 0 else 1.0
