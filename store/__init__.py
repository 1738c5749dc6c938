"""Where events live: one protocol (`protocol.py`), and an engine for each place (`sqlite.py`, `opensearch.py`).

An engine is chosen by the scheme of TRAILKEEPER_STORE_URL. Both answer every query alike: one conformance suite
(tests/store/) runs over the two.
"""
