"""A taken port is named with its owner and the setting that changes it."""

import os
import socket

import pytest

from deployments.local.ports import Port, PortTaken, require_free
from tests.conftest import free_port


def test_taken_port_is_named_with_its_owner_and_its_setting() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            require_free([Port(number, "the API", "ANALYTICS_API__PORT")])
    message = str(caught.value)
    assert f"Port {number} (the API) is taken by process {os.getpid()}" in message
    assert "ANALYTICS_API__PORT" in message


def test_free_ports_pass() -> None:
    number = free_port()
    require_free([Port(number, "the API", "ANALYTICS_API__PORT")])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", number))
        assert listener.getsockname()[1] == number
