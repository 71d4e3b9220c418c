"""Ends the server without failing a request: first it says that it is not ready, then it stops listening."""

import signal
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI


class DrainingServer(uvicorn.Server):
    """On SIGTERM or SIGINT `app.state.draining` is set and readiness fails; `delay_s` later the server closes.

    Meanwhile it goes on serving: whoever balances the load needs that long to see it and to send requests elsewhere.
    A second signal closes at once. Uvicorn would raise the signal again at the end; here the exit status is 0.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, *, delay_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._delay_s = delay_s
        self._closes_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Of uvicorn: called in the signal's handler."""
        if self._closes_at is None and self._delay_s > 0:
            self._app.state.draining = True
            self._closes_at = time.monotonic() + self._delay_s
        elif self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        else:
            self._app.state.draining = self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Of uvicorn: called ten times a second."""
        if self._closes_at is not None and time.monotonic() >= self._closes_at:
            self.should_exit = True
        return await super().on_tick(counter)
