"""What `windows.v1` says in the end about the window under test."""

from platform_assets.contracts.topics import WINDOWS
from platform_assets.contracts.windows import decode_updates
from streaming.benchmark.log_reading import read_to_end
from streaming.benchmark.oracle import WINDOW, Found


def newest_windows(address: str) -> list[Found]:
    """The newest state of each user and minute, changes and finals alike, from the whole topic.

    A record of an earlier position of its partition than one before it says what a second pass over the log found;
    it is older than what is known.
    """
    newest: dict[tuple[str, int], tuple[int, int, float]] = {}
    for messages in read_to_end(address, WINDOWS.name, WINDOWS.partitions):
        for message in messages:
            update = decode_updates(message.value())
            if update.window != WINDOW:
                continue
            position = update.next_offset
            for user, start_ms, _end_ms, count, total in update.rows:
                known = newest.get((user, start_ms))
                if known is None or known[0] <= position:
                    newest[user, start_ms] = (position, count, total)
    return [(user, start_ms, count, total) for (user, start_ms), (_, count, total) in newest.items()]
