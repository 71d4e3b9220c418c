"""A coroutine's first step without a task of its own: most that might wait do not."""

from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar

_Result = TypeVar("_Result")


class Begun(Generic[_Result]):
    """A coroutine that has been taken as far as it goes without waiting; to be awaited unless that was its end."""

    def __init__(self, coroutine: Coroutine[Any, Any, _Result]) -> None:
        """Take the step. Raises whatever the coroutine raises in it."""
        self._coroutine = coroutine
        self.results: list[_Result] = []
        """Its result, once it is over."""
        try:
            self._waits_for = coroutine.send(None)
        except StopIteration as end:
            self.results.append(end.value)

    def __await__(self) -> Generator[Any, Any, _Result]:
        """Go on to its end. What it waits for is handed to the task that awaits it here, as is a cancellation back."""
        waits_for = self._waits_for
        while True:
            try:
                yield waits_for
            except BaseException as error:
                step = partial(self._coroutine.throw, error)
            else:
                step = partial(self._coroutine.send, None)
            try:
                waits_for = step()
            except StopIteration as end:
                self.results.append(end.value)
                result: _Result = end.value
                return result
