"""The names of what can be done: the built-in catalog, as an enum that editors complete.

An action is `resource.verb`: dotted lower case, at least two parts, at most 128 characters. Any other string of that
form is as good; a deployment describes its own in the server's catalog file.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from trailkeeper.errors import InvalidEventError

_grammar = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+").fullmatch
_MAX_LENGTH = 128


class Action(StrEnum):
    """The 22 actions of the built-in catalog."""

    ORGANIZATION_UPDATE = "organization.update"
    ORGANIZATION_DELETE = "organization.delete"
    PROJECT_CREATE = "project.create"
    PROJECT_UPDATE = "project.update"
    PROJECT_DELETE = "project.delete"
    TEAM_MEMBER_ADD = "team_member.add"
    TEAM_MEMBER_UPDATE = "team_member.update"
    TEAM_MEMBER_REMOVE = "team_member.remove"
    API_KEY_CREATE = "api_key.create"
    API_KEY_UPDATE_STATUS = "api_key.update_status"
    API_KEY_UPDATE_LIMIT = "api_key.update_limit"
    API_KEY_DELETE = "api_key.delete"
    API_KEY_IAM_RULE_CREATE = "api_key.iam_rule.create"
    API_KEY_IAM_RULE_UPDATE = "api_key.iam_rule.update"
    API_KEY_IAM_RULE_DELETE = "api_key.iam_rule.delete"
    PROVIDER_KEY_CREATE = "provider_key.create"
    PROVIDER_KEY_UPDATE = "provider_key.update"
    PROVIDER_KEY_DELETE = "provider_key.delete"
    SUBSCRIPTION_CREATE = "subscription.create"
    SUBSCRIPTION_CANCEL = "subscription.cancel"
    SUBSCRIPTION_RESUME = "subscription.resume"
    PAYMENT_CREDIT_TOPUP = "payment.credit_topup"


# Names already found well formed: an application has a few dozen, and the look-up is a tenth of the match.
_known: set[str] = {str(action) for action in Action}
_MOST_KNOWN = 4096


def check_action(action: Any) -> str:
    """Return the action's name; raise InvalidEventError where it is none."""
    if type(action) is str and action in _known:
        return action
    if not isinstance(action, str) or len(action) > _MAX_LENGTH or not _grammar(action):
        raise InvalidEventError(
            "action",
            f"{action!r:.150} is not the name of an action.",
            "Write it like api_key.create: dotted lower case, a resource and a verb, at most 128 characters.",
        )
    name = str.__str__(action)
    if len(_known) < _MOST_KNOWN:
        _known.add(name)
    return name
