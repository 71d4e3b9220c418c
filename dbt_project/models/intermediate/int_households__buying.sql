{{
    config(
        materialized="incremental",
        incremental_strategy="replace",
        incremental_predicates=["target.household_id = fresh.household_id"]
    )
}}

select
    household_id,
    max(loaded_at) as loaded_at
from {{ ref("stg_events__purchase_lines") }}
where
    household_id is not null
    {%- if is_incremental() %}
    and loaded_at > {{ watermark() }}
    {%- endif %}
group by household_id
