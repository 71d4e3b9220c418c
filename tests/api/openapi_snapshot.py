"""Renews the OpenAPI snapshot: `make openapi`. A breaking change is written only with `--breaking`."""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from api.main import create_app
from resources.settings import Settings
from tests.api.openapi_changes import breaking_changes

SNAPSHOT = Path(__file__).with_name("openapi.json")


def current(data_dir: Path) -> dict[str, Any]:
    """The document that the application serves now, as a client reads it."""
    document: dict[str, Any] = json.loads(json.dumps(create_app(Settings(data_dir=data_dir)).openapi()))
    return document


def committed() -> dict[str, Any]:
    """The document that clients were promised."""
    document: dict[str, Any] = json.loads(SNAPSHOT.read_text())
    return document


def main() -> int:
    """Write the snapshot; 1 where it would break clients and that was not asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--breaking", action="store_true", help="Write a change that breaks clients too.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        document = current(Path(folder))
    breaks = breaking_changes(committed(), document) if SNAPSHOT.exists() else []
    if breaks and not arguments.breaking:
        sys.stderr.write("These changes break clients; undo them, or write them with ARGS=--breaking:\n")
        sys.stderr.writelines(f"  {line}\n" for line in breaks)
        return 1
    SNAPSHOT.write_text(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
