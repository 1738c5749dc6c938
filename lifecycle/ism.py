"""Index State Management, as far as Trailkeeper speaks to it: a thin typed client of `_plugins/_ism/*`.

Nothing else in the project talks to ISM. It decides nothing; it only makes ISM's answers hard to misread. What it is
written against was observed on OpenSearch 3.6.0 with index-management 3.6.0.0:

- 200 does not mean done: `add`, `change_policy` and `remove` answer 200 with `updated_indices`, `failures` and
  `failed_indices`; nothing matched is 200 with 0, an index that has a policy already is 200 with a failure.
- `explain` answers 400 "no documents to get" where no index matches, and lags about a second behind `add`.
- without the plugin every address answers 400 "no handler found for uri".
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConflictError, NotFoundError, RequestError

from audit.errors import Conflict
from lifecycle.engine import asking
from store.opensearch_errors import words

_BASE = "/_plugins/_ism"
_POLICY_KEYS = ("index.plugins.index_state_management.policy_id", "index.opendistro.index_state_management.policy_id")

BATCH = 50
"""Index names in one address: OpenSearch takes 4 KiB of it (http.max_initial_line_length), a name has some 22 bytes."""

ALREADY_MANAGED = "already has a policy"


@dataclass(frozen=True, slots=True)
class StandingPolicy:
    """A policy as it stands. `seq_no` and `primary_term` are what a write must name to replace exactly this one."""

    id: str
    body: Mapping[str, Any]
    seq_no: int
    primary_term: int


class Changed(NamedTuple):
    """What an answer of 200 really did."""

    updated: int
    failures: Mapping[str, str]
    """The reason by index, for each that was not changed."""


@dataclass(frozen=True, slots=True)
class Managed:
    """What `explain` says of one index."""

    index: str
    policy_id: str | None
    """None: no policy is attached."""
    enabled: bool | None = None
    """Whether the job runs; ISM disables it for good after some failures."""
    policy_seq_no: int | None = None
    """The version of the policy that it follows; None until the first job run."""
    state: str | None = None
    """Its state, or the one it is on the way to; None until the first job run."""
    failed: bool = False
    message: str | None = None
    """ISM's own words on the last thing it did."""


class Ism:
    """ISM behind one client. Each call blocks; each raises StoreUnavailable where the engine doesn't do it."""

    def __init__(
        self, client: OpenSearch, *, ttl: float = 300.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`ttl`: how many seconds `available` keeps what it heard (a plugin comes with a restart of the nodes)."""
        self._client = client
        self._ttl = ttl
        self._monotonic = monotonic
        self._heard: tuple[bool, float] | None = None

    def available(self) -> bool:
        """Tell whether ISM is there. Any error but a plain "no handler found" is raised: it says nothing about ISM."""
        heard = self._heard
        if heard is not None and self._monotonic() < heard[1]:
            return heard[0]
        with asking("say whether it has Index State Management"):
            try:
                self._request("GET", "/policies", params={"size": 1})
                there = True
            except NotFoundError:
                there = True  # the plugin, before its first policy: its index does not exist yet
            except RequestError as error:
                if not no_handler(error):
                    raise
                there = False
        self._heard = (there, self._monotonic() + self._ttl)
        return there

    def policy(self, policy_id: str) -> StandingPolicy | None:
        """Give a policy, or None."""
        with asking(f"read the policy {policy_id}"):
            try:
                return read_policy(self._request("GET", f"/policies/{_part(policy_id)}"))
            except NotFoundError:
                return None

    def put_policy(self, policy_id: str, body: Mapping[str, Any], *, over: StandingPolicy | None) -> None:
        """Write a policy over the one that was read, or, with None, where there was none.

        Raises Conflict where another one stands there by now: read again. An update without both numbers is 409 too.
        """
        params = {"if_seq_no": over.seq_no, "if_primary_term": over.primary_term} if over is not None else {}
        with asking(f"write the policy {policy_id}"):
            try:
                self._request("PUT", f"/policies/{_part(policy_id)}", params=params, body=body)
            except ConflictError as error:
                raise Conflict(
                    f"The policy {policy_id} was changed by somebody else: {words(error)}.",
                    fix="Read it again, and compare.",
                ) from None

    def add(self, index: str, policy_id: str) -> Changed:
        """Attach a policy to an index that has none; an index that has one keeps it, and is among the failures."""
        with asking(f"attach the policy {policy_id} to {index}"):
            return read_changed(self._request("POST", f"/add/{_part(index)}", body={"policy_id": policy_id}))

    def change_policy(self, indices: Iterable[str], policy_id: str) -> Changed:
        """Let managed indices follow this policy as it stands now, at their next job run.

        An index that is already on its way into another state refuses, and is among the failures. One that is gone by
        now turns the whole request into a 404, which is raised: ask again with those that are left.
        """
        return self._for_each_batch(
            indices, lambda names: ("change_policy", {"policy_id": policy_id}, f"change the policy of {names}")
        )

    def remove(self, indices: Iterable[str]) -> Changed:
        """Take the policy off. ISM then leaves the index alone (it sets auto_manage=false) until `add`."""
        return self._for_each_batch(indices, lambda names: ("remove", None, f"take the policy off {names}"))

    def explain(self, indices: str) -> Mapping[str, Managed]:
        """Tell how each index that matches a name or a pattern is managed; empty where none matches."""
        with asking(f"explain {indices}"):
            try:
                return read_explain(self._request("GET", f"/explain/{_part(indices)}"))
            except NotFoundError:
                return {}
            except RequestError as error:
                # Observed: a missing index, or a pattern without a match, is 400 with this text and not 404.
                if "no documents to get" in words(error):
                    return {}
                raise

    def _for_each_batch(self, indices: Iterable[str], call: Callable[[str], tuple[str, object, str]]) -> Changed:
        every = list(indices)
        updated, failures = 0, dict[str, str]()
        for start in range(0, len(every), BATCH):
            names = ",".join(every[start : start + BATCH])
            verb, body, what = call(names)
            with asking(what):
                changed = read_changed(self._request("POST", f"/{verb}/{_part(names)}", body=body))
            updated += changed.updated
            failures |= changed.failures
        return Changed(updated, failures)

    def _request(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: object = None) -> Any:
        return self._client.transport.perform_request(method, _BASE + path, params=params, body=body)


def no_handler(error: RequestError) -> bool:
    """Tell whether this 400 means that there is no ISM: `no handler found for uri […] and method […]`."""
    return "no handler found" in words(error)


def read_policy(answer: Mapping[str, Any]) -> StandingPolicy:
    """Read the answer to GET policies/<id>; the policy is under `policy` (the answer to PUT has it one deeper)."""
    return StandingPolicy(answer["_id"], answer["policy"], answer["_seq_no"], answer["_primary_term"])


def read_changed(answer: Mapping[str, Any]) -> Changed:
    """Read the answer to add, change_policy and remove."""
    failed: Sequence[Mapping[str, Any]] = answer.get("failed_indices") or ()
    failures = {str(item.get("index_name")): str(item.get("reason")) for item in failed}
    if answer.get("failures") and not failures:
        failures = {"?": "it failed without a reason"}
    return Changed(int(answer.get("updated_indices", 0)), failures)


def read_explain(answer: Mapping[str, Any]) -> dict[str, Managed]:
    """Read the answer to explain: one member for each index, and `total_managed_indices`, which is a number."""
    return {name: _managed(name, told) for name, told in answer.items() if isinstance(told, dict)}


def _managed(index: str, told: Mapping[str, Any]) -> Managed:
    policy_id = told.get("policy_id") or next((told[key] for key in _POLICY_KEYS if told.get(key)), None)
    state = told.get("transition_to") or (told.get("state") or {}).get("name")
    failed = any((told.get(part) or {}).get("failed") for part in ("action", "retry_info"))
    return Managed(
        index=index,
        policy_id=policy_id,
        enabled=told.get("enabled"),
        policy_seq_no=told.get("policy_seq_no"),
        state=state,
        failed=failed or (told.get("step") or {}).get("step_status") == "failed",
        message=(told.get("info") or {}).get("message"),
    )


def _part(text: str) -> str:
    """One step of an address. Comma and star stay: they separate and match index names."""
    return quote(text, safe=",*")
