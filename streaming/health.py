"""What the worker says about itself over HTTP: alive, ready, and where each partition stands."""

from typing import Any

from streaming.pipeline import Pipeline


def add_pages(app: Any, pipeline: Pipeline) -> None:
    """Serve GET /health/live, /health/ready and /partitions/ on the app's web server."""

    async def live(view: Any, request: Any) -> Any:
        """200 as long as the event loop turns."""
        return view.json({"status": "live"})

    async def ready(view: Any, request: Any) -> Any:
        """200 once partitions are assigned and sought; 503 before, while they move and while nothing can be written."""
        if pipeline.is_ready:
            return view.json({"status": "ready"})
        paused = pipeline.lander.paused
        reason = f"landing is paused: {paused.reason}" if paused is not None else "no partitions are assigned yet"
        return view.json({"status": "not ready", "reason": reason}, status=503)

    async def partitions(view: Any, request: Any) -> Any:
        """Per partition the next offset to fetch, the next to land and the end of the log as last seen."""
        paused = pipeline.lander.paused
        return view.json(
            {
                "ready": pipeline.is_ready,
                "paused": None if paused is None else {"reason": paused.reason, "attempts": paused.attempts},
                "partitions": pipeline.owned.report(),
            }
        )

    app.page("/health/live")(live)
    app.page("/health/ready")(ready)
    app.page("/partitions")(partitions)
