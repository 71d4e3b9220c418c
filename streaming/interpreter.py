"""How the interpreter of a process is set up that deals with batches of thousands of records."""

import gc
import sys

# A batch is thousands of objects that reference counting frees; the collector looked through them at every 700th.
_GC_THRESHOLD = 100_000


def go_without_pandas() -> None:
    """Have an import of pandas fail; Arrow, which looks for it, would take 0.8 s and 40 MB where it is installed."""
    sys.meta_path.insert(0, _NoPandas())


def collect_rarely() -> None:
    """Look for garbage in cycles rarely, and never among what is there now: to be called after the imports."""
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)


class _NoPandas:
    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("The stream worker goes without pandas", name=name)
