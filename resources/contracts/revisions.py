"""The contract of a Git revision, told by that revision's own code.

Its files are unpacked into a folder of their own and read by an interpreter that sees no other copy of them.
"""

import contextlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from platform_assets.contracts.document import ContractDocument, decode_document

REPOSITORY = Path(__file__).resolve().parents[2]

_MAIN = ("main", "origin/main", "master", "origin/master")
_DOCUMENT = Path("platform_assets") / "contracts" / "document.py"
_TELL = """\
import sys
sys.path.insert(0, sys.argv[1])
from platform_assets.contracts.document import contract_document, encode_document
sys.stdout.buffer.write(encode_document(contract_document()))
"""
_RUN = """\
import sys
sys.path.insert(0, sys.argv.pop(1))
from deployments.cli import main
main()
"""
_TIMEOUT_S = 300


class CannotCompare(RuntimeError):
    """The revision cannot be compared with; the message says why and what to do."""


class NothingPromised(RuntimeError):
    """The revision is older than the contract's document."""


def base_revision(asked: str | None, repository: Path = REPOSITORY) -> tuple[str, str]:
    """The commit to compare with, and what it is in words.

    That is the one asked for; else where this branch left the main one; else, without a main branch, the newest commit.

    Raises:
        CannotCompare: there is no Git, no repository or no such revision.
    """
    if asked is not None:
        return _commit(asked, repository), asked
    head = _commit("HEAD", repository)
    for name in _MAIN:
        with contextlib.suppress(CannotCompare):
            _commit(name, repository)
            base = _git(repository, "merge-base", head, name).decode().strip()
            return base, "the newest commit" if base == head else f"where this branch left {name}"
    return head, "the newest commit"


def document_at(commit: str, repository: Path = REPOSITORY) -> ContractDocument:
    """The contract as a commit's own code tells it.

    Raises:
        NothingPromised: the commit knows no contract document.
        CannotCompare: its code cannot be run.
    """
    with unpacked(commit, repository, "platform_assets") as tree:
        if not (tree / _DOCUMENT).exists():
            raise NothingPromised(f"{commit[:12]} has no document of the contract yet; nothing to compare with.")
        told = run_isolated(tree, _TELL, [])
    try:
        return decode_document(told)
    except msgspec.DecodeError as error:
        raise CannotCompare(f"The contract of {commit[:12]} cannot be read: {error}") from None


def lineage_at(commit: str, data_folder: Path, repository: Path = REPOSITORY) -> bytes:
    """The lineage graph of a commit as a document, by its own code and dbt project.

    Raises:
        CannotCompare: its code cannot be run, or knows no lineage.
    """
    with unpacked(commit, repository) as tree:
        return run_isolated(tree, _RUN, ["lineage", "graph", "--format", "json"], data_folder=data_folder)


@contextlib.contextmanager
def unpacked(commit: str, repository: Path, *paths: str) -> Iterator[Path]:
    """A folder with the files of a commit, or with some of them, for as long as the block lasts."""
    archive = _git(repository, "archive", "--format=tar", commit, "--", *paths)
    with tempfile.TemporaryDirectory(prefix="contract-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def run_isolated(tree: Path, code: str, arguments: list[str], *, data_folder: Path | None = None) -> bytes:
    """What code prints that finds its modules in a tree first, with none of this process's settings.

    Raises:
        CannotCompare: it fails; with the last line that it said.
    """
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(tree)}
    if data_folder is not None:
        environment["ANALYTICS_DATA_DIR"] = str(data_folder)
    try:
        finished = subprocess.run(
            [sys.executable, "-I", "-W", "ignore", "-c", code, str(tree), *arguments],
            cwd=tree,
            env=environment,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotCompare(f"The revision's code did not answer within {_TIMEOUT_S} s.") from None
    if finished.returncode:
        said = finished.stderr.decode(errors="replace").strip().splitlines()
        raise CannotCompare(f"The revision's code cannot tell: {said[-1] if said else 'it said nothing'}")
    return finished.stdout


def _commit(revision: str, repository: Path) -> str:
    return _git(repository, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").decode().strip()


def _git(repository: Path, *arguments: str) -> bytes:
    try:
        finished = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, check=False)  # noqa: S607
    except OSError as error:
        raise CannotCompare(f"git cannot be run in {repository}: {error.strerror}; install it.") from None
    if finished.returncode:
        said = finished.stderr.decode(errors="replace").strip().splitlines()
        raise CannotCompare(f"git {arguments[0]} in {repository}: {said[-1] if said else 'it failed'}")
    return finished.stdout
