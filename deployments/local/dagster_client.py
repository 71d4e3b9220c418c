"""Talks to Dagster's webserver over GraphQL: is it up, start a job, how is the run."""

from dataclasses import dataclass
from typing import Any

import httpx

LOCATION = "analytics"
_FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}

_READY = """
{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus locationOrLoadError {
    __typename ... on PythonError { message } } } } ... on PythonError { message } } }
"""
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
_LAUNCH = """
mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on InvalidSubsetError { message } ... on PipelineNotFoundError { message } } }
"""
_RUN = """
query Run($id: ID!) { runOrError(runId: $id) { __typename ... on Run {
    status stats { __typename ... on RunStatsSnapshot { stepsSucceeded stepsFailed } }
    stepStats { stepKey status } } } }
"""
_RUNS = """
query Runs($filter: RunsFilter!) { runsOrError(filter: $filter, limit: 50) { __typename ... on Runs {
    results { runId status jobName } } } }
"""
_CANCEL = """
mutation Cancel($ids: [String!]!) { terminateRuns(runIds: $ids, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) {
    __typename } }
"""


class DagsterUnavailable(RuntimeError):
    """The webserver does not answer, or answered that it cannot do what was asked."""


@dataclass(frozen=True)
class Run:
    """The state of one run."""

    run_id: str
    status: str
    failed_steps: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        return self.status in _FINISHED


class DagsterClient:
    """Blocking calls; each raises DagsterUnavailable when the webserver cannot answer."""

    def __init__(self, address: str, timeout_s: float = 10.0) -> None:
        self.address = address
        self._http = httpx.Client(timeout=timeout_s)

    def load_error(self) -> str | None:
        """None when the code location is loaded; else why it is not."""
        answer = self._ask(_READY)["workspaceOrError"]
        entries = answer.get("locationEntries", [])
        if not entries:
            return str(answer.get("message", "the workspace is empty"))
        for entry in entries:
            loaded = entry["locationOrLoadError"]
            if loaded is None:
                return f"{entry['name']} is still loading"
            if loaded["__typename"] == "PythonError":
                return f"{entry['name']} failed to load: {loaded['message']}"
        return None

    def daemons_are_healthy(self) -> bool:
        """Whether every daemon that the instance requires has sent a heartbeat lately."""
        statuses = self._ask(_DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(status["healthy"] for status in statuses if status["required"])

    def launch(self, job: str, tags: dict[str, str] | None = None) -> str:
        """Start a job and return the run's id."""
        params = {
            "selector": {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "jobName": job},
            "mode": "default",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
        }
        answer = self._ask(_LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise DagsterUnavailable(f"{job} was not started: {answer.get('message', answer['__typename'])}")
        return str(answer["run"]["runId"])

    def run(self, run_id: str) -> Run:
        """How a run is getting on."""
        answer = self._ask(_RUN, {"id": run_id})["runOrError"]
        if answer["__typename"] != "Run":
            raise DagsterUnavailable(f"Dagster does not know run {run_id}")
        failed = tuple(step["stepKey"] for step in answer["stepStats"] or () if step["status"] == "FAILURE")
        return Run(run_id, answer["status"], failed)

    def runs(
        self,
        *,
        job: str | None = None,
        statuses: tuple[str, ...] = (),
        created_before: float | None = None,
        created_after: float | None = None,
    ) -> list[Run]:
        """The newest runs, newest first. Times in seconds since the epoch."""
        wanted: dict[str, Any] = {"createdBefore": created_before, "createdAfter": created_after}
        if job:
            wanted["pipelineName"] = job
        if statuses:
            wanted["statuses"] = list(statuses)
        answer = self._ask(_RUNS, {"filter": wanted})["runsOrError"]
        return [Run(found["runId"], found["status"]) for found in answer.get("results", [])]

    def cancel_unfinished(self, created_before: float) -> int:
        """Mark started runs from before a moment as cancelled, so that nothing waits for them. Returns how many."""
        open_runs = self.runs(
            statuses=("NOT_STARTED", "STARTING", "STARTED", "CANCELING"), created_before=created_before
        )
        if open_runs:
            self._ask(_CANCEL, {"ids": [found.run_id for found in open_runs]})
        return len(open_runs)

    def _ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._http.post(f"{self.address}/graphql", json={"query": query, "variables": variables or {}})
            response.raise_for_status()
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise DagsterUnavailable(f"{self.address} did not answer: {error}") from error
        if "errors" in answer:
            raise DagsterUnavailable(str(answer["errors"][0].get("message")))
        return dict(answer["data"])
