"""One Apache Kafka broker in KRaft mode on this machine: `python -m deployments.kafka [--port 9092] [--folder DIR]`.

Needs a JDK 17 and Maven, which fetches the jars once. For trying the platform on the real thing, and for the tests; a
cluster is somebody else's work.
"""

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

_POM = Path(__file__).with_name("pom.xml")
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/log
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=16777216
"""
# As Kafka's own start script has them. Without, and with the 128 MB that the cleaner takes for itself, collections of
# garbage took half as long again at 50,000 events/s, 8 of 94 more than 50 ms; now 1 of 56.
_JAVA_OPTIONS = (
    "-Xms512m",
    "-Xmx512m",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
)


class KafkaUnavailable(RuntimeError):
    """A tool is missing, or the jars cannot be fetched; the message says which and what to do."""


def fetch_jars(folder: Path) -> Path:
    """Copy Kafka's jars into a folder, unless they are there.

    Raises:
        KafkaUnavailable: Maven is missing or could not fetch them.
    """
    libs = folder / "libs"
    libs.mkdir(parents=True, exist_ok=True)
    with (libs / ".lock").open("w") as lock:
        # Two that copy into one folder would each find the other's half of a jar.
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = libs / ".complete"
        if not done.exists() or done.read_bytes() != _POM.read_bytes():
            _copy_jars(libs)
            done.write_bytes(_POM.read_bytes())
    return libs


def _copy_jars(libs: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("Maven is missing: install maven and a JDK 17.")
    finished = subprocess.run(
        [
            maven, "--batch-mode", "--quiet", "--file", str(_POM), "dependency:copy-dependencies",
            "-DincludeScope=runtime", f"-DoutputDirectory={libs.resolve()}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if finished.returncode:
        raise KafkaUnavailable(f"Maven could not fetch Kafka:\n{finished.stdout[-2000:]}{finished.stderr[-2000:]}")


def broker_command(folder: Path, port: int, controller_port: int, *, advertised_port: int | None = None) -> list[str]:
    """Prepare a broker's folder and return the command line that runs it; its log survives in the folder.

    Clients are sent to `advertised_port` where a proxy stands in front of the broker.

    Raises:
        KafkaUnavailable: as for `fetch_jars`, or the folder cannot be formatted.
    """
    java = shutil.which("java")
    if java is None:
        raise KafkaUnavailable("Java is missing: install a JDK 17.")
    classes = f"{fetch_jars(folder.parent)}/*"
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    properties.write_text(
        _PROPERTIES.format(
            port=port,
            advertised_port=advertised_port or port,
            controller_port=controller_port,
            folder=folder.resolve().as_posix(),
        )
    )
    if not (folder / "log" / "meta.properties").exists():
        formatted = subprocess.run(
            [
                java, "-cp", classes, "kafka.tools.StorageTool", "format", "--standalone",
                "--cluster-id", str(uuid.uuid4()), "--config", str(properties),
            ],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if formatted.returncode:
            raise KafkaUnavailable(f"{folder} could not be formatted:\n{formatted.stdout}{formatted.stderr}")
    return [java, *_JAVA_OPTIONS, "-cp", classes, "kafka.Kafka", str(properties)]


def main() -> None:
    """Run a broker in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m deployments.kafka", description=__doc__)
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--controller-port", type=int, default=9093)
    parser.add_argument("--folder", type=Path, default=Path(".analytics-kafka/broker"))
    arguments = parser.parse_args()
    try:
        command = broker_command(arguments.folder, arguments.port, arguments.controller_port)
    except KafkaUnavailable as error:
        raise SystemExit(str(error)) from None
    sys.stderr.write(
        f"Kafka on 127.0.0.1:{arguments.port}; ANALYTICS_KAFKA__BOOTSTRAP_SERVERS names it. Ctrl-C ends it.\n"
    )
    os.execv(command[0], command)  # noqa: S606 - the command line is our own


if __name__ == "__main__":
    main()
