"""The vocabulary every service shares: the event, its catalog, the query, principals, settings and errors.

Nothing in here knows HTTP, SQLite or OpenSearch; everything else imports from here and never the other way round
(import-linter holds it in `make check`).
"""
