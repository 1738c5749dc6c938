"""The `trailkeeper` command: composes every part, one file for each group of subcommands.

main.py        the command itself, and how errors look
compose.py     settings into a running trail: the only place that puts the parts together
serve.py       the services
slow_clients.py  how long a client may take to send a request
operate.py     setup, status, retention
access.py      keys, token
read.py        search, export
bring.py       import
client.py      the API, over HTTP or in this process
output.py      tables for people, JSON for programs
"""
