"""Measures the streaming tier: open-loop load, latency from the intended send time, results checked exactly."""
