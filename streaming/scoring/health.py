"""What the scorer says about itself over HTTP: alive, ready, and what it has scored."""

from typing import Any

from streaming.scoring.pipeline import ScoringPipeline


def add_pages(app: Any, pipeline: ScoringPipeline) -> None:
    """Serve GET /health/live, /health/ready and /scoring on the app's web server."""

    async def live(view: Any, request: Any) -> Any:
        """200 as long as the event loop turns."""
        return view.json({"status": "live"})

    async def ready(view: Any, request: Any) -> Any:
        """200 once partitions are assigned, also before the first promotion; 503 while nothing can be written."""
        if pipeline.is_ready:
            return view.json({"status": "ready", "models": pipeline.report()["models"]})
        reason = f"scoring is paused: {pipeline.paused}" if pipeline.paused else "no partitions are assigned yet"
        return view.json({"status": "not ready", "reason": reason}, status=503)

    async def scoring(view: Any, request: Any) -> Any:
        """Models, counts since the start, and positions per partition."""
        return view.json(pipeline.report())

    app.page("/health/live")(live)
    app.page("/health/ready")(ready)
    app.page("/scoring")(scoring)
