"""The shared vocabulary: what an event, a topic, a landing file, a feature and a prediction are.

Imports nothing but the standard library, msgspec and pydantic, so every process can afford it.
"""
