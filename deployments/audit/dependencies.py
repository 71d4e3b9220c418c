"""`make audit`: known vulnerabilities of what requirements.lock pins, or the honest answer that nobody looked.

pip-audit says "no known vulnerabilities" and exits 0 where its service knows no package at all (a mirror, a proxy), and
exits 1 over a broken connection as over a finding. So here only its report counts, and before it the answer about a
package that has been known as vulnerable for ten years: a service that does not know of that one knows of none.

Exit status: 0 everything was looked up and nothing is known; 1 something is known; 3 unchecked.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLEAN, VULNERABLE, UNCHECKED = 0, 1, 3

LOCK = Path(__file__).parents[2] / "requirements.lock"
CANARY = "jinja2==2.4.1"  # CVE-2014-0012 among others


class Unchecked(Exception):
    """The audit could not look; the message says why."""


@dataclass(frozen=True)
class Finding:
    """One known vulnerability of one pinned package."""

    package: str
    version: str
    identifier: str
    fixed_in: tuple[str, ...]


def audit(lock: Path, *, service: tuple[str, ...] = (), timeout_s: float = 900) -> list[Finding]:
    """Every known vulnerability of what a lock file pins for this platform.

    Raises:
        Unchecked: the service was not reached, does not know what it should, or left a package out.
    """
    with tempfile.TemporaryDirectory() as folder:
        # A cache of its own: an old answer must not stand in for a service that is gone.
        options = (*service, "--cache-dir", str(Path(folder) / "cache"))
        canary = Path(folder) / "canary.txt"
        canary.write_text(f"{CANARY}\n")
        if not _findings(_report(canary, (*options, "--no-deps"), timeout_s)):
            raise Unchecked(f"the service knows nothing of {CANARY}, which is known to be vulnerable")
        return _findings(_report(lock, options, timeout_s))


def _report(requirements: Path, options: tuple[str, ...], timeout_s: float) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--desc", "off", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        raise Unchecked(f"pip-audit did not end within {timeout_s:.0f} s") from None
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Unchecked(f"pip-audit gave no report: {last}") from None
    if not dependencies:
        raise Unchecked(f"pip-audit found no package in {requirements.name}")
    left_out = [f"{found['name']} ({found['skip_reason']})" for found in dependencies if "skip_reason" in found]
    if left_out:
        raise Unchecked(f"{len(left_out)} of {len(dependencies)} packages were not looked up, as {left_out[0]}")
    return dependencies


def _findings(dependencies: list[dict[str, Any]]) -> list[Finding]:
    return [
        Finding(found["name"], found["version"], known["id"], tuple(known["fix_versions"]))
        for found in dependencies
        for known in found["vulns"]
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print what was found; the exit status as above."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lock", type=Path, default=LOCK)
    parser.add_argument("--osv-url", help="ask this OSV service instead of the package index")
    options = parser.parse_args(arguments)
    service = ("--vulnerability-service", "osv", "--osv-url", options.osv_url) if options.osv_url else ()
    try:
        findings = audit(options.lock, service=service)
    except Unchecked as error:
        _say(f"UNCHECKED: {error}. Nothing is known about the dependencies.")
        return UNCHECKED
    for found in findings:
        remedy = f"fixed in {', '.join(found.fixed_in)}" if found.fixed_in else "no fix is known"
        _say(f"{found.package} {found.version}: {found.identifier}, {remedy}")
    if findings:
        return VULNERABLE
    _say(f"Every package of {options.lock.name} was looked up; no vulnerability is known.")
    return CLEAN


def _say(line: str) -> None:
    print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
