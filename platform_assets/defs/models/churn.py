"""The churn model: candidates compete, the best is judged on held-out rows, and the gate decides who serves."""

from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    MetadataValue,
    ResourceParam,
    asset,
)

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.contracts.predictions import CHURN
from platform_assets.defs.features.customer_activity import CUSTOMER_ACTIVITY_KEY
from platform_assets.defs.materialized import Materialized
from platform_assets.defs.stages import ML_TEAM, Stage
from resources.settings import Settings
from resources.warehouse import Warehouse
from resources.warehouse.feature_tables import newest_cutoff, read_features, table_of

if TYPE_CHECKING:
    from platform_assets.modeling.dataset import ChurnDataset
    from platform_assets.modeling.train import TrainingResult
    from resources.model_registry import MlflowRegistry
    from resources.model_registry.promotion import Promotion

CHURN_MODEL = Stage.MODELS.key(CHURN)
BEATS_THE_RULE = "auc_beats_recency_rule"
HAS_A_CHAMPION = "model_has_a_champion"


@asset(
    key=CHURN_MODEL,
    deps=[CUSTOMER_ACTIVITY_KEY, Stage.MARTS.key("fct_orders")],
    group_name=Stage.MODELS.group,
    owners=[ML_TEAM],
    kinds={"scikitlearn", "mlflow"},
    check_specs=[
        AssetCheckSpec(
            BEATS_THE_RULE,
            asset=CHURN_MODEL,
            description='On rows it never saw it ranks better than "the longer the last order is ago, the likelier".',
        ),
        AssetCheckSpec(
            HAS_A_CHAMPION,
            asset=CHURN_MODEL,
            blocking=True,
            description="A version holds the champion's alias and serves.",
        ),
    ],
    description=(
        "No order in the next 28 days, among households with one in the 84 days before. Logistic regression and "
        "boosted trees, split by time, registered in MLflow; promoted by alias through the gate."
    ),
)
def churn(
    context: AssetExecutionContext,
    settings: ResourceParam[Settings],
    warehouse: ResourceParam[Warehouse],
    model_registry: ResourceParam[Any],  # naming MlflowRegistry would import scikit-learn into every process
) -> Materialized:
    """Train, register as challenger, and promote if the gate says so."""
    from platform_assets.defs.models.churn_plots import draw_training, feature_importances
    from platform_assets.modeling.gate import decide
    from platform_assets.modeling.train import train_churn
    from resources.model_registry.promotion import promote, score_champion
    from resources.model_registry.training_record import log_training

    registry: MlflowRegistry = model_registry
    dataset = read_dataset(settings, warehouse)
    result = train_churn(dataset)
    champion = score_champion(registry, CHURN, dataset)
    version = log_training(
        registry,
        CHURN,
        result,
        table=table_of(CUSTOMER_ACTIVITY),
        tags={"dagster.run_id": context.op_execution_context.run_id},
    )
    verdict = decide(
        auc=result.best.evaluation.auc,
        rule_auc=result.rule_auc,
        champion=champion,
        expects_full_data=settings.churn.expects_full_data,
        problem=result.best.evaluation.problem,
    )
    context.log.info("churn version %s: %s", version.version, verdict.reason)
    promotion = promote(registry, settings.models_dir, version, verdict)
    importances = feature_importances(result)
    return Materialized(
        metadata={
            **{name: float(value) for name, value in result.metrics().items()},
            "best_candidate": result.best_name,
            "evaluation_cutoff": str(dataset.plan.evaluation),
            "version": version.version,
            "promoted": verdict.promote,
            "gate": f"{verdict.kind}: {verdict.reason}",
            "champion": promotion.serving or "none",
            "importances": MetadataValue.json({name: round(value, 5) for name, value in importances.items()}),
            "picture": MetadataValue.md(draw_training(result, importances)),
        },
        check_results=check_training(result, promotion, expects_full_data=settings.churn.expects_full_data),
    )


def read_dataset(settings: Settings, warehouse: Warehouse) -> "ChurnDataset":
    """Features and outcomes from the warehouse, over the cut-offs that the features were computed for.

    Raises:
        NoFeatures: features/customer_activity has not been materialised.
        TooLittleHistory, UnknownOutcome, IncompleteDataset: naming what is missing.
    """
    from platform_assets.features.customer_activity import label_churn
    from platform_assets.features.order_span import order_span
    from platform_assets.modeling.cutoffs import plan_cutoffs
    from platform_assets.modeling.dataset import build_dataset

    with warehouse.read() as connection:
        # Not the newest order: more may have landed since the features were computed.
        as_of = newest_cutoff(connection, CUSTOMER_ACTIVITY)
        plan = plan_cutoffs(order_span(connection).first, as_of, settings.churn.evaluation_cutoff)
        features = read_features(connection, CUSTOMER_ACTIVITY)
        labels = label_churn(connection, plan.labelled)
    return build_dataset(features, labels, plan, CUSTOMER_ACTIVITY)


def check_training(
    result: "TrainingResult", promotion: "Promotion", *, expects_full_data: bool
) -> list[AssetCheckResult]:
    """The two checks of a training. On a sample, a model that loses to the rule is only warned of."""
    auc, rule = result.best.evaluation.auc, result.rule_auc
    return [
        AssetCheckResult(
            check_name=BEATS_THE_RULE,
            passed=auc is not None and rule is not None and auc > rule,
            severity=AssetCheckSeverity.ERROR if expects_full_data else AssetCheckSeverity.WARN,
            metadata={
                "evaluation_rows": result.best.evaluation.rows,
                "evaluation_positives": result.best.evaluation.positives,
                **({"auc": auc} if auc is not None else {}),
                **({"rule_auc": rule} if rule is not None else {}),
            },
        ),
        AssetCheckResult(
            check_name=HAS_A_CHAMPION,
            passed=promotion.serving is not None,
            metadata={"champion": promotion.serving or "none", "gate": promotion.verdict.reason},
        ),
    ]
