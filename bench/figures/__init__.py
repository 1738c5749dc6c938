"""One module a figure, in the order of the table. Each says in its docstring what is measured against what.

A figure is a function `measure(options) -> list[Result]`, or `measure(options, cluster)` where it needs an OpenSearch node.
"""

NAMES = (
    "emit",
    "ingest_vs_bulk",
    "ingest_vs_helpers",
    "ingest_vs_rsyslog",
    "ack_batch",
    "ack_single",
    "embedded",
    "bytes",
    "rss",
    "validate",
    "growth",
)
NEED_A_CLUSTER = frozenset(("ingest_vs_bulk", "ingest_vs_helpers", "ingest_vs_rsyslog", "bytes"))
