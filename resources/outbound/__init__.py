"""Requests to addresses that somebody configured: checked where they connect, never redirected, with an end."""

from resources.outbound.client import OutboundClient, OutboundResponse
from resources.outbound.policy import AddressRefused, OutboundError, OutboundPolicy

__all__ = ["AddressRefused", "OutboundClient", "OutboundError", "OutboundPolicy", "OutboundResponse"]
