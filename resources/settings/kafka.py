"""ANALYTICS_KAFKA__…: the event log."""

from pydantic import Field

from resources.settings.section import Port, Section


class KafkaSettings(Section):
    """The event log."""

    bootstrap_servers: str | None = Field(None, description="Any Kafka; unset starts the embedded broker.")
    embedded_port: Port = Field(9092, description="Where the embedded broker listens, on loopback.")
    embedded_memory_limit_mb: int = Field(
        2048, ge=64, description="The embedded broker frees nothing; past this it is recycled once all has landed."
    )
    linger_ms: int = Field(
        5,
        ge=0,
        le=1000,
        description="How long the door waits for a batch to fill; at best what the brokers take to acknowledge one: "
        "librdkafka looks without a pause for an answer that takes longer.",
    )

    @property
    def address(self) -> str:
        """The bootstrap servers in force."""
        return self.bootstrap_servers or f"127.0.0.1:{self.embedded_port}"
