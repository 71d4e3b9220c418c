"""The scan for secrets in `make check`: what detect-secrets finds in the tracked files and nobody has judged before.

Judged findings, as made-up passwords of tests, stand in `.secrets.baseline` as hashes. `--accept` takes those of now
there: read what it prints. A line that ends in `pragma: allowlist secret` is passed over.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BASELINE = ".secrets.baseline"
# Hex digests and trace ids are everywhere here, and hashes of packages in lock files; neither opens anything. The
# detectors by form (private keys, tokens of services, passwords in addresses) and by name of the variable stay on.
_OPTIONS = ("--disable-plugin", "HexHighEntropyString", "--exclude-files", r"requirements\.lock$|\.secrets\.baseline$")
# Tests are full of made-up pass phrases whose variable is called PASSWORD. A real one there is random, so that the
# detectors by form and by entropy see it.
_TESTS, _BY_NAME = "tests/", "Secret Keyword"


@dataclass(frozen=True, order=True)
class Suspect:
    """Something that looks like a secret; the value is known by its hash only."""

    file: str
    kind: str
    hashed: str


def scan(root: Path) -> dict[Suspect, int]:
    """What looks like a secret below a folder, with the line where it stands."""
    command = [sys.executable, "-m", "detect_secrets", "scan", *_OPTIONS]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)["results"]
    return {
        Suspect(file, suspect["type"], suspect["hashed_secret"]): suspect["line_number"]
        for file, suspects in found.items()
        for suspect in suspects
        if not (file.startswith(_TESTS) and suspect["type"] == _BY_NAME)
    }


def read_baseline(root: Path) -> set[Suspect]:
    """The judged findings; none without the file."""
    path = root / BASELINE
    if not path.exists():
        return set()
    return {Suspect(*entry) for entry in json.loads(path.read_text())}


def write_baseline(root: Path, suspects: set[Suspect]) -> None:
    """One finding a line, in order, so that a change is easy to review."""
    lines = ",\n".join(json.dumps([found.file, found.kind, found.hashed]) for found in sorted(suspects))
    (root / BASELINE).write_text(f"[\n{lines}\n]\n")


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 where something new looks like a secret."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--accept", action="store_true", help="take the present findings into the baseline")
    options = parser.parse_args(arguments)
    found = scan(options.root)
    new = sorted(set(found) - read_baseline(options.root))
    for suspect in new:
        print(f"{suspect.file}:{found[suspect]}: {suspect.kind}")  # noqa: T201
    if options.accept:
        write_baseline(options.root, set(found))
        return 0
    if new:
        print("A secret in a repository is known to all: revoke it. A made-up one: make secrets-accept.")  # noqa: T201
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
