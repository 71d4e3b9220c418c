-- Lines and sales by day are those of the order lines, to the cent.
{{ config(meta={"dagster": {"ref": {"name": "fct_daily_sales"}}}) }}

with

lines as (
    select
        order_date,
        count(*) as line_count,
        {{ sum_money("sales_value") }} as sales_value
    from {{ ref("fct_order_lines") }}
    group by order_date
),

daily as (
    select
        order_date,
        cast(sum(line_count) as bigint) as line_count,
        {{ sum_money("sales_value") }} as sales_value
    from {{ ref("fct_daily_sales") }}
    group by order_date
)

select
    lines.order_date,
    daily.order_date as daily_order_date
from lines
full outer join daily on lines.order_date = daily.order_date
where
    lines.line_count is distinct from daily.line_count
    or lines.sales_value is distinct from daily.sales_value
