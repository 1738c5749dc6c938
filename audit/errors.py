"""Every error Trailkeeper raises on purpose, and what it looks like to a program.

TrailkeeperError
├── MalformedBody           400  the request can't be read at all
├── InvalidCursor           400  a cursor that is not ours, not this query's, or too old
├── Unauthenticated         401  no token, or one that doesn't hold
├── Forbidden               403  known, but may not
├── NotFound                404  not there, or another organization's
├── Conflict                409  the same id with other content; a precondition that failed
├── TooLarge                413  past a limit of the request
├── UnsupportedMedia        415  a content type or encoding nobody here reads
├── Invalid                 422  well formed, and not acceptable
│   ├── InvalidEvent
│   └── InvalidQuery
├── Unavailable             503  try again later
│   ├── StoreUnavailable         the engine doesn't answer
│   │   └── SyncFailed           the embedded store's disk did not sync: the process ends
│   └── SpoolFull                ingest has too much waiting for the engine
├── DiskFull                507  nothing can be committed
└── ConfigurationError           a setting that can't work; seen by the person who starts a service

Each one tells what is wrong (`detail`), where (`field`), the bound that was crossed (`limit`) and what to do next (`fix`).
Over HTTP it is the problem document of RFC 9457, made in one place: `TrailkeeperError.problem`.
"""

from typing import Any, ClassVar

type_prefix = "urn:trailkeeper:problem:"


class TrailkeeperError(Exception):
    """The root. `status` is the HTTP status (RFC 9110) that the error travels under."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something failed inside Trailkeeper"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        limit: object = None,
        fix: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.limit = limit
        self.fix = fix
        self.retry_after = retry_after

    def problem(self) -> dict[str, Any]:
        """Return the RFC 9457 document, with `field`, `limit` and `fix` as extension members where they are known."""
        members: dict[str, Any] = {
            "type": type_prefix + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        for name in ("field", "limit", "fix"):
            value = getattr(self, name)
            if value is not None:
                members[name] = value
        return members

    def __str__(self) -> str:
        return f"{self.detail} {self.fix}" if self.fix else self.detail


class MalformedBody(TrailkeeperError):
    """The body can't be read: not JSON, cut short, not what its headers say."""

    status = 400
    slug = "malformed-body"
    title = "The request body can't be read"


class InvalidCursor(TrailkeeperError):
    """A cursor that this service didn't sign for this query and organization."""

    status = 400
    slug = "invalid-cursor"
    title = "The cursor can't be used here"


class Unauthenticated(TrailkeeperError):
    """No bearer token, or one that doesn't hold. The detail never says more than the caller already knows."""

    status = 401
    slug = "unauthenticated"
    title = "A valid bearer token is needed"


class Forbidden(TrailkeeperError):
    """The principal is known and may not do this."""

    status = 403
    slug = "forbidden"
    title = "Not allowed"


class NotFound(TrailkeeperError):
    """Not there, or not yours: the two look the same from outside."""

    status = 404
    slug = "not-found"
    title = "Not found"


class Conflict(TrailkeeperError):
    """The same id arrived with other content, or somebody else was first."""

    status = 409
    slug = "conflict"
    title = "It conflicts with what is stored"


class TooLarge(TrailkeeperError):
    """A request past its size limit; nothing of it was taken."""

    status = 413
    slug = "too-large"
    title = "The request is too large"


class UnsupportedMedia(TrailkeeperError):
    """A content type or content encoding that isn't read here."""

    status = 415
    slug = "unsupported-media-type"
    title = "The content type can't be read"


class Invalid(TrailkeeperError):
    """Well formed, and still not acceptable."""

    status = 422
    slug = "invalid"
    title = "The request is not valid"


class InvalidEvent(Invalid):
    """One event that breaks the model or one of its limits; its neighbours are unaffected."""

    slug = "invalid-event"
    title = "The event is not valid"


class InvalidQuery(Invalid):
    """A parameter that is unknown, or a value that its grammar can't hold."""

    slug = "invalid-query"
    title = "The query is not valid"


class Unavailable(TrailkeeperError):
    """Not now. `retry_after` is in seconds."""

    status = 503
    slug = "unavailable"
    title = "Not available right now"


class StoreUnavailable(Unavailable):
    """The engine that holds the events doesn't answer, or answers with an error of its own."""

    slug = "store-unavailable"
    title = "The event store is not available right now"


class SyncFailed(StoreUnavailable):
    """The disk did not sync, and nobody knows what it holds now: nothing may be acknowledged before a fresh start."""

    slug = "sync-failed"


class SpoolFull(Unavailable):
    """Ingest holds as many events as it may for an engine that isn't taking them."""

    slug = "spool-full"
    title = "Ingest can't take more right now"


class DiskFull(TrailkeeperError):
    """The disk refused the commit; nothing was acknowledged."""

    status = 507
    slug = "disk-full"
    title = "The disk is full"


class ConfigurationError(TrailkeeperError):
    """A setting that can't work, said to the person who starts the service."""

    slug = "configuration"
    title = "A setting needs attention"
