"""What a person sees of the API in a browser: the log-in page and the session behind it."""
