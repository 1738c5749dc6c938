"""A sample application: the control plane of an LLM gateway, with every change on the audit trail.

Read `api_keys.py` first: it is what emitting looks like. `access.py` shows how a denied attempt gets on the trail as well,
`app.py` how little it takes to set the SDK up. Sign-in is a header (`X-Demo-User`), state is in memory: everything but the
auditing is kept small on purpose.
"""
