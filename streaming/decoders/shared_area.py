"""Memory that two processes have in common: a file that has no name, so nothing is left behind whoever dies."""

import mmap
import os
import tempfile


class SharedArea:
    """So many bytes of such memory; they take up only as much as was ever written to."""

    def __init__(self, descriptor: int, size: int) -> None:
        """Map the file behind an open descriptor, which this owns from now on."""
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._mapped = mmap.mmap(descriptor, size)
        self.bytes = memoryview(self._mapped)

    @classmethod
    def new(cls, size: int) -> "SharedArea":
        """An area that no other process has yet; one that inherits the descriptor can map it too."""
        descriptor = _nameless_file()
        os.ftruncate(descriptor, size)
        return cls(descriptor, size)

    @property
    def descriptor(self) -> int:
        """Of the file."""
        return self._file.fileno()

    def close(self) -> None:
        """Give the memory back; raises BufferError where something still looks into it."""
        self.bytes.release()
        self._mapped.close()
        self._file.close()


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("decoder")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
