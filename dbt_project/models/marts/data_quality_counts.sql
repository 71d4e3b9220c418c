{%- set line_rules = [
    "line_is_without_units",
    "line_is_without_sales",
    "line_is_sale_without_units",
    "line_is_giveaway",
    "line_is_bulk_quantity",
    "line_is_of_unknown_product",
    "line_is_without_household",
] -%}
{%- set treatments = {"door": "refused at the door", "stream": "rejected by the stream"} -%}

with

counted_lines as (
    select
        rule,
        sum(row_count) as row_count,
        sum(total_rows) as total_rows
    from {{ ref("fct_quality_days") }}
    group by rule
),

-- Every rule has its row, so that "none" is said and not left out.
known_line_rules as (
    {%- for rule in line_rules %}
    select
        '{{ rule }}' as rule,
        '{{ "kept" if rule == "line_is_without_household" else "kept and flagged" }}' as treatment
    {{ "union all" if not loop.last }}
    {%- endfor %}
),

line_rules as (
    select
        known_line_rules.rule,
        coalesce(counted_lines.row_count, 0) as row_count,
        coalesce(counted_lines.total_rows, 0) as total_rows,
        known_line_rules.treatment
    from known_line_rules
    left join counted_lines on known_line_rules.rule = counted_lines.rule
),

coupon_rules as (
    select
        'coupon_row_is_repeated' as rule,
        coalesce(sum(source_row_count - 1), 0) as row_count,
        coalesce(sum(source_row_count), 0) as total_rows,
        'removed as a repeat' as treatment
    from {{ ref("stg_shop__coupons") }}
),

accepted as (
    select coalesce(sum(event_count), 0) as event_count
    from {{ ref("fct_event_days") }}
),

-- What was mended or sent again correctly is among the accepted: sent = accepted + rejected still.
rejected_still as (
    select
        origin,
        reason_class
    from {{ ref("fct_rejections") }}
    where status = 'open'
),

rejections as (
    select
        origin,
        reason_class,
        count(*) as event_count
    from rejected_still
    group by origin, reason_class
),

rejected as (
    select count(*) as event_count
    from rejected_still
),

-- Every class, too.
rejection_classes as (
    {%- for origin, treatment in treatments.items() %}
    {%- set outer_last = loop.last %}
    {%- for reason_class in rejection_classes().keys() | list + ["other"] %}
    select
        '{{ origin }}' as origin,
        '{{ reason_class }}' as reason_class,
        '{{ treatment }}' as treatment
    {{ "union all" if not (loop.last and outer_last) }}
    {%- endfor %}
    {%- endfor %}
),

rejection_rules as (
    select
        rejection_classes.origin || '_' || rejection_classes.reason_class as rule,
        coalesce(rejections.event_count, 0) as row_count,
        accepted.event_count + rejected.event_count as total_rows,
        rejection_classes.treatment
    from rejection_classes
    cross join accepted
    cross join rejected
    left join rejections
        on
            rejection_classes.origin = rejections.origin
            and rejection_classes.reason_class = rejections.reason_class
),

rules as (
    select * from line_rules
    union all
    select * from coupon_rules
    union all
    select * from rejection_rules
)

select
    rule,
    cast(row_count as bigint) as row_count,
    cast(total_rows as bigint) as total_rows,
    treatment
from rules
