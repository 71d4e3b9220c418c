"""The event-time window engine: pure, columnar, without I/O. The same code runs live, in recovery and in tests."""
