"""What the routes call: the work itself, without HTTP."""
