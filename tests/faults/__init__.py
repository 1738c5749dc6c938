"""What must not lose an event: real processes, real kill -9, a real node, and a count at the end of each.

load.py             senders that keep the book: what was sent, what was acknowledged
service.py          ingest as a process: start, kill, restart on the same spool and port; a deployment of several
crashing_ingest.py  the same program, which kills itself at a named point, or whose disk or clock fails
proxy.py            between ingest and the node: 429, 503, partial failures, hangs, cuts, answers that come too late
ledger.py           the count: every acknowledged event exactly once, in its index, as it was sent; no gap in a log
soak.py             all of it mixed at random under a seed: `make soak MINUTES=10 SEED=1`
"""
