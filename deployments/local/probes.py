"""How a process shows that it is ready. A probe answers in a second or two, and only yes or no."""

import socket

import httpx

from deployments.local.dagster_client import DagsterClient, DagsterUnavailable


def listens(port: int) -> bool:
    """Whether somebody accepts connections on a loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


def answers_http(address: str) -> bool:
    """Whether an address answers with a success."""
    try:
        return httpx.get(address, timeout=2.0).is_success
    except httpx.HTTPError:
        return False


def answers_events_and_predictions(api: str) -> bool:
    """Whether the API reaches the event log and has looked for its champions; until then predictions wait."""
    try:
        response = httpx.get(f"{api}/health/ready", timeout=2.0)
    except httpx.HTTPError:
        return False
    return response.is_success and all(
        model["state"] != "loading" for model in response.json()["parts"]["models"].values()
    )


def location_is_loaded(address: str) -> bool:
    """Whether Dagster's webserver answers and has loaded the code location."""
    try:
        return DagsterClient(address, timeout_s=3.0).load_error() is None
    except DagsterUnavailable:
        return False


def daemons_beat(address: str) -> bool:
    """Whether every daemon that Dagster requires has sent a heartbeat lately."""
    try:
        return DagsterClient(address, timeout_s=3.0).daemons_are_healthy()
    except DagsterUnavailable:
        return False
