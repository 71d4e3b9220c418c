"""`python -m api`: serve the API with the settings of the environment."""

import gc
import socket
import sys

import uvicorn

from api.draining import DrainingServer
from api.http_protocol import bounded_head_protocol
from api.main import SERVICE_NAME, create_app
from api.security.startup import UnsafeConfiguration, prepare_identity
from resources.settings import Settings, SettingsError, load_settings
from resources.telemetry import configure_logging

# Beyond what a request may wait for the broker, so that SIGTERM ends no request before its acknowledgement.
DRAIN_GRACE_S = 5
# A batch is thousands of objects that reference counting frees; the collector looked through them at every 700th.
GC_THRESHOLD = 100_000


def main() -> int:
    """Serve until SIGTERM or SIGINT, finish the requests in flight, and return the exit status."""
    try:
        settings = load_settings()
        app = create_app(settings)
        prepare_identity(settings)
        listener = _listen(settings)
    except (SettingsError, UnsafeConfiguration) as error:
        print(f"The API does not start: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except OSError as error:
        api = settings.api
        print(  # noqa: T201
            f"The API cannot listen on {api.host} port {api.port}: {error.strerror}. "
            "Set ANALYTICS_API__PORT to a free port.",
            file=sys.stderr,
        )
        return 2
    configure_logging(SERVICE_NAME)
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    config = uvicorn.Config(
        app,
        http=bounded_head_protocol(settings.api.header_timeout_s),
        log_config=None,  # uvicorn's own records become JSON lines too
        log_level="warning",
        access_log=False,  # one line per request comes from RequestLoggingMiddleware
        proxy_headers=False,  # X-Forwarded-For would let a caller choose where it comes from
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=int(settings.api.acknowledgement_timeout_s) + DRAIN_GRACE_S,
    )
    DrainingServer(config, app, delay_s=settings.api.drain_delay_s).run(sockets=[listener])
    return 0


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.api.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.api.host, settings.api.port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


if __name__ == "__main__":
    sys.exit(main())
