"""Lists that come in pages."""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

T = TypeVar("T")

Cursor = Annotated[
    str | None,
    Query(
        pattern=r"^[a-z]{3}_[0-9a-f]{28}$",
        description="`next_cursor` of the page before; without it the list begins.",
        examples=["usr_01a214f3d2b761d2b74b3694f112"],
    ),
]
Limit = Annotated[int, Query(ge=1, le=100, description="The most items of a page.")]


class Page(BaseModel, Generic[T]):
    """Some items of a list, in the order in which they were made."""

    items: list[T]
    next_cursor: str | None = Field(
        None,
        description="Ask with it for the next page; null on the last one.",
        examples=["usr_01a214f3d2b761d2b74b3694f112"],
    )


def next_cursor(ids: Sequence[str], limit: int) -> str | None:
    """The cursor after these items, of which one more than `limit` was asked for."""
    return ids[limit - 1] if len(ids) > limit else None
