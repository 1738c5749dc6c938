"""The way out: who asks, what they may see, what they look for, and the events themselves.

app.py             composes the service; alone, or into an application that has other routes
audit_logs.py      the endpoints: a page, one event, the filters
reader.py          the gate in front of them: 401, then 404 and 403, before anything else is looked at
authentication.py  a bearer token into a principal: an API key, or a JWT
tokens.py          what a JWT must hold
jwks.py            the identity provider's keys, cached, rotated
parameters.py      the parameters there are
parsing.py         a URL's parameters into the query
cursors.py         where a page ends, signed
views.py           reading the trail is on the trail
problems.py        every error as problem+json
documentation.py   what OpenAPI says
service.py         what the endpoints need, in one place
"""
