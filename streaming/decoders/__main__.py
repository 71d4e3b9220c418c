"""`python -m streaming.decoders`: decodes events for the stream worker that started it (`process`)."""

import argparse
import contextlib
import socket
from pathlib import Path

from streaming.decoders.serving import Endpoint, serve
from streaming.decoders.shared_area import SharedArea


def main() -> None:
    """Serve the worker whose descriptors were inherited."""
    parser = argparse.ArgumentParser(prog="python -m streaming.decoders", description=__doc__)
    parser.add_argument(
        "--lane",
        action="append",
        nargs=2,
        type=int,
        required=True,
        help="descriptors of a socket and of its area; as often as wanted",
    )
    parser.add_argument("--area-bytes", type=int, required=True, help="size of each area")
    parser.add_argument("--schemas", type=Path, required=True, help="folder of the registered schemas")
    parser.add_argument("--land", action="store_true", help="write payloads as they land")
    chosen = parser.parse_args()
    ends = [
        Endpoint(socket.socket(fileno=channel), SharedArea(area, chosen.area_bytes)) for channel, area in chosen.lane
    ]
    # A worker that was killed does not wait for the answer.
    with contextlib.suppress(ConnectionError):
        serve(ends, chosen.schemas, land=chosen.land)


if __name__ == "__main__":
    main()
