"""Assets, checks, jobs and schedules, loaded as one tree."""
