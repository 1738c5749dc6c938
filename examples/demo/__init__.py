"""What `make demo` runs: a whole trail, a gateway that fills it, and three questions to ask it.

`processes.py` starts and ends the two processes, `trail.py` talks to the trail, `session.py` is the file for scripts,
`screen.py` what a person sees, and `__main__.py` the order of it all.
"""
