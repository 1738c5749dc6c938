"""Brings the templates to OpenSearch: says first what it would change, then changes that and nothing else.

Templates act on indices that are made after them: a changed mapping reaches the days to come, never one that stands.

Several instances may do this at once. Each writes the same text, so it does not matter whose is last; an instance that
finds a newer version leaves it. OpenSearch gives templates no compare-and-set, so between the look and the write an older
instance can still come in; `prepare` looks again after writing, and whoever is newer then puts it right.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import structlog
from opensearchpy import OpenSearch
from opensearchpy.exceptions import RequestError

from audit.changes import Change, difference
from audit.errors import ConfigurationError, StoreUnavailable
from index_templates import AUDIT, VERSION
from index_templates.documents import Kind, Template, normal, wanted
from store.opensearch_errors import asking, words

log = structlog.get_logger(__name__)

PLAIN_CODEC = "best_compression"
BEST_CODEC = "zstd_no_dict"
"""As small as best_compression and faster to write; it is in the plugin opensearch-custom-codecs."""

_ROUNDS = 3
_A_DAY = "audit-90d-2000.01.01"


class NewerTemplates(ConfigurationError):
    """The cluster was set up by a newer Trailkeeper than this one."""


@dataclass(frozen=True, slots=True)
class TemplateChange(Change):
    """A Change that knows what to send."""

    template: Template = field(kw_only=True, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON has it: the diff says it all, the body is left out."""
        return {"kind": self.kind, "name": self.name, "action": self.action, "diff": self.diff}


def plan(client: OpenSearch, replicas: str = "0-1") -> list[TemplateChange]:
    """Tell what `apply` would do to each template; nothing is changed.

    replicas: as in `documents.wanted`.
    Raises ConfigurationError where a newer Trailkeeper set the cluster up, StoreUnavailable where it does not answer.
    """
    templates = wanted(replicas=replicas, codec=best_codec(client))
    return [_compare(template, _standing(client, template.kind, template.name)) for template in templates]


def apply(client: OpenSearch, changes: Sequence[TemplateChange]) -> None:
    """Write what differs, then look whether a new day would really get it.

    Raises ConfigurationError where a newer version came in meanwhile, where the cluster refuses a template, or where
    somebody else's template has precedence over ours; StoreUnavailable where it does not answer.
    """
    for change in changes:
        if change.action == "unchanged":
            continue
        # Once more, just before the write: another instance may have been here since the plan.
        _refuse_newer(change.template, _standing(client, change.template.kind, change.template.name))
        _put(client, change.template)
        log.info("template_written", kind=change.kind, name=change.name, action=change.action, version=VERSION)
    _refuse_shadowed(client)


def prepare(client: OpenSearch, replicas: str = "0-1") -> list[TemplateChange]:
    """Plan and apply, as a service does when it starts; return what was done.

    A newer version that stands is left and logged, not refused: an older instance must be able to start beside it, while
    a deployment is rolled out or taken back. Otherwise raises as `plan` and `apply` do.
    """
    done: list[TemplateChange] = []
    for _ in range(_ROUNDS):
        try:
            changes = plan(client, replicas)
            done = done or changes
            apply(client, changes)
        except NewerTemplates as newer:
            log.warning("templates_newer", detail=newer.detail, version=VERSION)
            break
        if all(change.action == "unchanged" for change in changes):
            break
    return done


def best_codec(client: OpenSearch) -> str:
    """Tell the codec for day indices: zstd_no_dict where the cluster takes it, else best_compression.

    Asked by simulating a template, which changes nothing and needs no more rights than writing one. A cluster without
    the plugin says 400, "unknown value for [index.codec] must be one of [default, lz4, best_compression, zlib]".
    """
    probe = {"index_patterns": ["trailkeeper-codec"], "template": {"settings": {"index.codec": BEST_CODEC}}}
    with _asking("tell its codecs"):
        # An expected 400 or 404 is `ignore`d, not caught: opensearch-py logs a warning for each that it raises.
        answer = client.transport.perform_request(
            "POST", "/_index_template/_simulate", params={"ignore": 400}, body=probe
        )
    if "error" not in answer:
        return BEST_CODEC
    if "index.codec" in answer["error"]["reason"]:
        return PLAIN_CODEC
    raise StoreUnavailable(f"OpenSearch could not tell its codecs: {answer['error']['reason']}.")


def _compare(template: Template, standing: dict[str, Any] | None) -> TemplateChange:
    _refuse_newer(template, standing)
    should = normal(template.body)
    if standing is None:
        return TemplateChange(template.kind, template.name, "create", difference(None, should), template=template)
    stands = normal(standing)
    diff = difference(stands, should)
    return TemplateChange(template.kind, template.name, "update" if diff else "unchanged", diff, template=template)


def _refuse_newer(template: Template, standing: dict[str, Any] | None) -> None:
    version = (standing or {}).get("version") or 0
    if version > VERSION:
        raise NewerTemplates(
            f"The {template.kind} {template.name} in OpenSearch is version {version}; "
            f"this Trailkeeper brings {VERSION}.",
            fix="Run `trailkeeper setup` of the newest Trailkeeper that writes to this cluster.",
        )


def _refuse_shadowed(client: OpenSearch) -> None:
    """See to it that a day made now would be made from our template: one of higher priority silently replaces it."""
    with _asking("simulate a day's index"):
        answer = client.transport.perform_request("POST", f"/_index_template/_simulate_index/{_A_DAY}")
    mappings = answer.get("template", {}).get("mappings", {})
    if "trailkeeper" not in mappings.get("_meta", {}):
        raise ConfigurationError(
            f"Another index template of higher priority takes audit-*, so {AUDIT} never acts: a day would be made "
            "without its mapping.",
            fix="Find it with `GET _index_template` and narrow its index_patterns, so that they leave out audit-*.",
        )


def _standing(client: OpenSearch, kind: Kind, name: str) -> dict[str, Any] | None:
    with _asking(f"show the {kind} {name}"):
        if kind == "component template":
            found = client.cluster.get_component_template(name=name, ignore=404).get("component_templates")
        else:
            found = client.indices.get_index_template(name=name, ignore=404).get("index_templates")
    if not found:
        return None
    body: dict[str, Any] = found[0][kind.replace(" ", "_")]
    return body


def _put(client: OpenSearch, template: Template) -> None:
    with _asking(f"write the {template.kind} {template.name}"):
        try:
            if template.kind == "component template":
                client.cluster.put_component_template(name=template.name, body=template.body)
            else:
                client.indices.put_index_template(name=template.name, body=template.body)
        except RequestError as error:
            raise ConfigurationError(
                f"OpenSearch refuses the {template.kind} {template.name}: {words(error)}.",
                fix="Where it names another template, narrow that one's index_patterns so that they leave out audit-*; "
                "where it names copies, set TRAILKEEPER_INDEX_REPLICAS.",
            ) from error


def _asking(what: str) -> AbstractContextManager[None]:
    return asking(what, needs="the cluster permissions manage_index_templates and cluster_monitor")
