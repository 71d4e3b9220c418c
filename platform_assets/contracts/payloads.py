"""The contracts of payloads, by event name.

An event name without a contract is accepted as generic: its payload only has to be a JSON object.
"""

from dataclasses import dataclass
from typing import Annotated

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
# The ceilings keep a broken sender out; the demo's real maxima are 89,638 units (fuel) and 840 dollars.
Money = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Quantity = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]


class PurchaseLine(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One product line of one basket. Money in US dollars, discounts as positive amounts.

    Lines without units or without sales are kept: they are returns, coupons and giveaways, and the staging model
    flags them. A matched coupon larger than the coupon it matches cannot be, and is refused.
    """

    basket_id: Id
    product_id: Id
    store_id: Id
    quantity: Quantity
    sales_value: Money
    retail_disc: Money
    coupon_disc: Money
    coupon_match_disc: Money

    def __post_init__(self) -> None:
        if self.coupon_match_disc > self.coupon_disc:
            raise ValueError(
                f"coupon_match_disc {self.coupon_match_disc} is larger than coupon_disc {self.coupon_disc}"
            )


PURCHASE_LINE = "purchase_line"

PAYLOAD_CONTRACTS: dict[str, type[msgspec.Struct]] = {PURCHASE_LINE: PurchaseLine}


@dataclass(frozen=True)
class AtMost:
    """A rule across two fields of a payload: the one is never larger than the other."""

    field: str
    limit: str


RULES_ACROSS_FIELDS: dict[str, tuple[AtMost, ...]] = {PURCHASE_LINE: (AtMost("coupon_match_disc", "coupon_disc"),)}
"""What `__post_init__` says, for those who enforce the contract in SQL or on whole columns, by event name."""
