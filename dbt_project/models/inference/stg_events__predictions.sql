select
    prediction_id,
    model,
    model_version,
    entity_id,
    probability,
    features_as_of,
    predicted_at,
    loaded_at
from {{ source("raw", "predictions") }}
