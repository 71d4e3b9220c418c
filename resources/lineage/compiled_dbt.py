"""dbt's manifest with compiled statements, made where it is missing or older than the project.

dbt compiles against an empty database in memory, so neither a warehouse nor its lock is needed, and incremental models
come out as they are built the first time.
"""

import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from resources.warehouse.lock import writer_lock

_READ = {".sql", ".yml", ".yaml", ".csv", ".py", ".md"}
_MADE = {"target", "logs", "dbt_packages"}
_TIMEOUT_S = 600
_SHOWN_LINES = 20
_KEPT = 3


class CompilationFailed(RuntimeError):
    """dbt does not compile the project; the message ends with what it said."""


@dataclass(frozen=True)
class CompiledProject:
    """The manifest of a project as it stands."""

    manifest: Mapping[str, Any]
    fingerprint: str


def compile_project(project: Path, cache: Path, *, say: Callable[[str], None] = lambda text: None) -> CompiledProject:
    """The compiled manifest of a dbt project, from the cache where the project is as it was.

    Args:
        project: the folder with dbt_project.yml and profiles.yml.
        cache: where manifests are kept, by the project's fingerprint.
        say: is told when dbt has to run, and how long it took.

    Raises:
        CompilationFailed: dbt refuses the project.
    """
    fingerprint = project_fingerprint(project)
    kept = cache / f"{fingerprint[:32]}.json"
    if not kept.is_file():
        say(f"The compiled dbt project in {cache} is missing or stale; dbt compiles {project} …")
        started = time.monotonic()
        # Of two processes that miss it, one compiles and the other one waits.
        with writer_lock(cache / "lock", timeout_s=_TIMEOUT_S, purpose=f"compiling {project}"):
            if not kept.is_file():
                _compile(project, kept)
                _prune(cache, kept)
        say(f"Compiled in {time.monotonic() - started:.1f} s.")
    return CompiledProject(msgspec.json.decode(kept.read_bytes()), fingerprint)


def project_fingerprint(project: Path) -> str:
    """Differs where the project's files, or dbt itself, do."""
    found = hashlib.sha256()
    for package in ("dbt-core", "dbt-duckdb"):
        found.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    for path in sorted(project.rglob("*")):
        relative = path.relative_to(project)
        if path.suffix in _READ and not _MADE.intersection(relative.parts):
            content = path.read_bytes()
            found.update(f"{relative.as_posix()} {len(content)}\n".encode() + content)
    return found.hexdigest()


def _compile(project: Path, kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".dbt-") as work:
        # Whatever else is set for dbt belongs to runs that write a warehouse.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
        environment |= {
            "DBT_PROJECT_DIR": str(project.resolve()),
            "DBT_PROFILES_DIR": str(project.resolve()),
            "DBT_TARGET_PATH": work,
            "DBT_LOG_PATH": work,
            "DBT_STARTED_BY": str(os.getpid()),  # it ends with us: dbt_project/plugins/ends_with_its_run.py
            "ANALYTICS_WAREHOUSE__PATH": ":memory:",
        }
        command = [str(Path(sys.executable).with_name("dbt")), "--quiet", "--no-use-colors", "compile"]
        try:
            finished = subprocess.run(
                command, env=environment, cwd=work, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise CompilationFailed(f"dbt did not compile {project} within {_TIMEOUT_S} s") from None
        if finished.returncode:
            said = (finished.stdout + finished.stderr).strip().splitlines()[-_SHOWN_LINES:]
            raise CompilationFailed(f"dbt does not compile {project}:\n" + "\n".join(said))
        (Path(work) / "manifest.json").replace(kept)


def _prune(cache: Path, newest: Path) -> None:
    others = sorted((path for path in cache.glob("*.json") if path != newest), key=lambda path: path.stat().st_mtime)
    for path in others[: -(_KEPT - 1)]:
        path.unlink()
