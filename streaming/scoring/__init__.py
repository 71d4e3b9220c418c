"""In-stream inference: who was active, scored on the newest features, to `predictions.v1` and the online store.

It follows `windows.v1` and not the events: a change of `user_activity_1m` names an entity once per micro-batch of the
worker, whatever the number of its events, and costs no decoding of events a second time.
"""
