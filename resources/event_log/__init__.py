"""The event log: any Kafka, or the embedded broker of the local platform."""
