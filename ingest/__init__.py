"""The way in: decode a request, validate each event, commit, acknowledge, relay.

app.py       HTTP: POST /v1/events
decode.py    a body into lines, bounded: JSON, arrays, NDJSON; gzip, zstd
validate.py  a line into a candidate, or a problem
commit.py    group commit: one writer, each commit takes what queued during the last
spool.py     the log before OpenSearch: SQLite, committed before anything is acknowledged
spool_file.py  its file: schema, opening, renewal where it is damaged
salvage.py   what is intact in a damaged spool
relay.py     from the spool to the store, with retries and dead letters
pipeline.py  these together; what services start and stop
"""
