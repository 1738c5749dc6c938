"""The way in: decode a request, validate each event, commit, acknowledge, relay.

app.py          HTTP: POST /v1/events
openapi.py      what OpenAPI says of it
decode.py       a body into lines, bounded: JSON, arrays, NDJSON; gzip, zstd
validate.py     a line into a candidate, or a problem
commit.py       group commit: one writer, each commit takes what queued during the last
spool.py        the log before OpenSearch: SQLite, committed before anything is acknowledged
spool_file.py   its file: schema, opening, renewal where it is damaged
salvage.py      what is intact in a damaged spool
relay.py        from the spool to the store, with retries and dead letters
acks.py         who waits for the store's word
deadletters.py  what the store refused, until somebody decides
pipeline.py     these together; what services start and stop
metrics.py      what Prometheus is told
formats/        records of other systems as events
"""
