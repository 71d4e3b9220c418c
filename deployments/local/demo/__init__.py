"""The demo: a real data set goes in at the front door and comes out as a prediction."""
