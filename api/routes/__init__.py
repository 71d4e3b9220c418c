"""The routes, one module a subject; each reads the request, calls a service and answers."""
