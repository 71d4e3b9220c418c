"""Faults against real processes: brokers that die, workers that are killed, disks that fail, and what must still hold.

A `Scene` has a broker, workers on one data folder, and a seed that every random choice comes from. A `Ledger` is the
client: it sends without a pause and knows what became of each event. After the fault the scene is drained, and
`invariants` and `recomputation` say whether landing files and windows are exact. `make test-integration` runs three
rounds of each fault, `make faults` twenty; the end of a run lists the seeds and how long each recovery took.
"""
