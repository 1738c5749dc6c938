"""What Trailkeeper costs, side by side with what it could cost at best: `python -m bench`, read README.md first.

__main__.py   the command: which figures, how many rounds, a table or JSON lines
figures/      one module a figure: what is measured against what
measure.py    interleaved rounds, medians, and whether an aim is met
events.py     the events: an LLM gateway's, unique, in the SDK's form
load.py       the load: a lean HTTP/1.1 client in a process of its own
processes.py  the servers: real processes, and the CPU time each of them took
peers.py      servers to compare with: a no-op, and one that parses and throws away
cluster.py    the OpenSearch node, its indices, raw `_bulk`
"""
