"""Users, keys, tokens and the record of what was done with them. Plain classes; the API and the commands use them."""
