"""The lineage of everything, as a file that the API and the command line read without Dagster."""

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    ResourceParam,
    asset,
)

from platform_assets.defs.materialized import Materialized
from platform_assets.defs.models.churn import CHURN_MODEL
from platform_assets.defs.stages import PLATFORM_TEAM, Stage
from resources.settings import Settings

LINEAGE = Stage.SERVING.key("lineage")
IS_FOLLOWED = "every_column_could_be_followed"
_SHOWN_PROBLEMS = 20


@asset(
    key=LINEAGE,
    # Code and dbt come with a deployment; what changes between two of them is a model's version.
    deps=[CHURN_MODEL],
    group_name=Stage.SERVING.group,
    owners=[PLATFORM_TEAM],
    kinds={"json"},
    check_specs=[
        AssetCheckSpec(
            IS_FOLLOWED,
            asset=LINEAGE,
            description="No statement of dbt or the features is beyond the reader; every metric's mart is served.",
        )
    ],
    description=(
        "What every asset and column is made of, from routes, windows and dbt's models to features, model versions and "
        "metrics. An immutable file under a new name each time it changes, with a pointer to the newest."
    ),
)
def lineage(context: AssetExecutionContext, settings: ResourceParam[Settings]) -> Materialized:
    """Build and publish, if it is not what serves already. dbt compiles where its project has changed, some 9 s."""
    from resources.lineage.publication import publish_lineage

    published = publish_lineage(settings, say=context.log.info)
    return Materialized(
        metadata={
            "file": published.pointer.file,
            "published": published.is_new,
            "published_at": published.pointer.published_at.isoformat(),
            "assets": published.pointer.assets,
            "edges": published.pointer.edges,
        },
        check_results=[
            AssetCheckResult(
                check_name=IS_FOLLOWED,
                passed=not published.problems,
                # What is beyond the reader is followed by whole assets, and no build should stop for it.
                severity=AssetCheckSeverity.WARN,
                metadata={
                    "problems": len(published.problems),
                    "first_problems": list(published.problems[:_SHOWN_PROBLEMS]),
                },
            )
        ],
    )
