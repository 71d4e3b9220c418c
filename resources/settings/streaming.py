"""ANALYTICS_STREAMING__…: the stream worker and the scorer."""

import enum

from pydantic import Field

from resources.settings.section import Port, Section


class Duties(enum.StrEnum):
    """What the stream worker does."""

    ALL = "all"
    WINDOWS = "windows"


class StreamingSettings(Section):
    """The worker and its landing sink."""

    web_port: Port = Field(6066, description="Faust's web view.")
    max_file_rows: int = Field(200_000, ge=1)
    max_file_age_s: float = Field(2.0, gt=0, description="The longest a record waits before its file is closed.")
    max_buffer_mb: int = Field(32, ge=1, description="Rows in memory, those on their way to a file included.")
    session_timeout_s: float = Field(6.0, gt=0, description="How soon a killed worker's partitions are free again.")
    fetch_wait_ms: int = Field(50, ge=1, description="How long the broker may hold a fetch for which it has nothing.")
    duties: Duties = Field(Duties.ALL, description="`windows` neither lands nor deduplicates: for measurements.")
    decoder_processes: int = Field(
        1, ge=0, le=16, description="Processes that decode a backlog; none are started where there is one core only."
    )
    emit_interval_s: float = Field(0.012, gt=0, description="The least time between two changes of one window.")
    checkpoint_interval_s: float = Field(2.0, gt=0, description="How much of the log a crash makes the worker repeat.")
    idle_timeout_s: float = Field(
        5.0, gt=0, description="Silence after which a partition's windows close by the clock."
    )
    scorer_web_port: Port = Field(6067, description="The scorer's web view.")
    score_interval_s: float = Field(1.0, ge=0, description="An entity is scored in the stream at most this often.")
