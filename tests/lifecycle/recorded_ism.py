"""ISM's answers as a real one gave them, to see what our own code makes of them where no ISM can be had.

No proof of ISM: that is test_with_ism.py. Here are only answers that were observed (OpenSearch 3.6.0 with
index-management 3.6.0.0): 409 for a write without the right numbers, 200 for what was not done, 400 for a pattern without
a match, and versions that an attached index keeps until change_policy.
"""

import copy
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from typing import Any

from opensearchpy.exceptions import ConflictError, NotFoundError, RequestError

from audit.instants import to_ms
from audit.retention import end_of
from store.names import parse_day_index

ALREADY = "This index already has a policy, use the update policy API to update index policies"


class RecordedIsm:
    """Stands where the client stands. `indices` are name → creation date in ms, or what `create` made."""

    def __init__(self) -> None:
        self.transport = self
        self.indices = self
        self.created: dict[str, int] = {}
        self.policies: dict[str, tuple[int, dict[str, Any]]] = {}
        self.attached: dict[str, tuple[str, int]] = {}
        self.writes: list[str] = []
        self.before_put: Callable[[], None] = lambda: None
        self._seq_no = 0

    def stands(self, name: str, created: int | None = None) -> str:
        """Have an index, with the end of its day as creation date unless said otherwise."""
        place = parse_day_index(name)
        assert place is not None
        self.created[name] = to_ms(end_of(place[1])) if created is None else created
        return name

    def put(self, policy_id: str, body: Mapping[str, Any]) -> None:
        """Have somebody write a policy."""
        self._seq_no += 1
        kept = copy.deepcopy(dict(body["policy"])) | {"policy_id": policy_id, "schema_version": 27}
        for state in kept["states"]:
            for action in state["actions"]:
                action["retry"] = {"count": 3, "backoff": "exponential", "delay": "1m"}
        self.policies[policy_id] = (self._seq_no, kept)

    def attach(self, index: str, policy_id: str) -> None:
        """Have an index attached, past its first job run."""
        self.attached[index] = (policy_id, self.policies[policy_id][0] if policy_id in self.policies else 0)

    def create(self, *, index: str, body: Mapping[str, Any]) -> None:
        if index in self.created:
            raise RequestError(400, "resource_already_exists_exception", {"error": {"reason": "already exists"}})
        self.created[index] = body["settings"]["index.creation_date"]

    def get_settings(self, *, index: str, name: str, params: object) -> object:
        return {one: {"settings": {name: str(date)}} for one, date in self.created.items() if fnmatch(one, index)}

    def perform_request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        verb, _, name = path.removeprefix("/_plugins/_ism/").partition("/")
        if method != "GET":
            self.writes.append(f"{verb} {name}")
        return getattr(self, f"_{method.lower()}_{verb}")(name, params or {}, body)

    def _get_policies(self, name: str, params: Mapping[str, Any], body: object) -> object:
        if not name:
            return {"policies": [], "total_policies": 0}
        if name not in self.policies:
            raise NotFoundError(404, "Policy not found", {})
        seq_no, kept = self.policies[name]
        return {"_id": name, "_seq_no": seq_no, "_primary_term": 1, "policy": copy.deepcopy(kept)}

    def _put_policies(self, name: str, params: Mapping[str, Any], body: Mapping[str, Any]) -> object:
        self.before_put()
        standing = self.policies.get(name)
        numbers = (params.get("if_seq_no"), params.get("if_primary_term"))
        if numbers != ((None, None) if standing is None else (standing[0], 1)):
            raise ConflictError(409, "version_conflict_engine_exception", {"error": {"reason": "version conflict"}})
        self.put(name, body)
        return {}

    def _post_add(self, name: str, params: object, body: Mapping[str, str]) -> object:
        if body["policy_id"] not in self.policies:
            raise NotFoundError(404, "status_exception", {"error": {"reason": "Could not find policy"}})
        if name in self.attached:
            return _answer(0, {name: ALREADY})
        if name not in self.created:
            return _answer(0, {})
        self.attach(name, body["policy_id"])
        return _answer(1, {})

    def _post_change_policy(self, names: str, params: object, body: Mapping[str, str]) -> object:
        every = names.split(",")
        if any(name not in self.created for name in every):
            raise NotFoundError(404, "index_not_found_exception", {"error": {"reason": "no such index"}})
        failures = {name: "This index is not being managed" for name in every if name not in self.attached}
        for name in set(every) - failures.keys():
            self.attach(name, body["policy_id"])
        return _answer(len(every) - len(failures), failures)

    def _post_remove(self, names: str, params: object, body: object) -> object:
        for name in names.split(","):
            del self.attached[name]
        return _answer(len(names.split(",")), {})

    def _get_explain(self, pattern: str, params: object, body: object) -> object:
        found = [name for name in self.created if fnmatch(name, pattern)]
        if not found:
            reason = "Validation Failed: 1: no documents to get;"
            raise RequestError(400, "action_request_validation_exception", {"error": {"reason": reason}})
        key = "index.plugins.index_state_management.policy_id"
        told: dict[str, Any] = {name: {key: None, "enabled": None} for name in found}
        for name in found:
            if name in self.attached:
                policy_id, seq_no = self.attached[name]
                told[name] = {key: policy_id, "policy_id": policy_id, "enabled": True, "policy_seq_no": seq_no}
        return told | {"total_managed_indices": len(self.attached)}


def _answer(updated: int, failures: Mapping[str, str]) -> object:
    failed = [{"index_name": name, "index_uuid": "u", "reason": reason} for name, reason in failures.items()]
    return {"updated_indices": updated, "failures": bool(failures), "failed_indices": failed}
