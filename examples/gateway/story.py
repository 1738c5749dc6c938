"""What happened at Northwind Robotics: every action at least once, and two questions that the trail answers.

Who disabled the key of the production web site? Dana Ivers, whom nobody had expected to. Who removed her from the team, and
what was her role before? Ada Okafor; an admin, and a developer until the same Ada promoted her.
"""

from collections.abc import Iterator

from examples.gateway.people import Office


def story(office: Office) -> Iterator[None]:
    """Tell it scene by scene; between two of them anything else may happen."""
    ada, bruno, chidi, dana, ci = map(office.person, ("ada", "bruno", "chidi", "dana", "ci"))

    # The organization is set up.
    ada.does("subscription.create", "POST", "/billing/subscription", {"plan": "pro", "seats": 8})
    ada.does("organization.update", "PATCH", "", {"billing_email": "accounts@northwind.example"})
    yield
    bruno.does("payment.credit_topup", "POST", "/billing/credits", {"amount": 500})
    yield
    copilot = bruno.does("project.create", "POST", "/projects", {"name": "Support copilot"})["id"]
    yield
    openai = bruno.does(
        "provider_key.create",
        "POST",
        "/provider-keys",
        {"name": "OpenAI production", "provider": "openai", "token": "sk-first-3f9a"},
    )["id"]
    yield
    anthropic = {"name": "Anthropic production", "provider": "anthropic"}
    bruno.does("provider_key.create", "POST", "/provider-keys", anthropic | {"token": "copied-wrong"}, expect=409)
    bruno.does("provider_key.create", "POST", "/provider-keys", anthropic | {"token": "sk-ant-77c1"})
    yield

    # Dana Ivers joins, and is good at it.
    bruno.does(
        "team_member.add",
        "POST",
        "/members",
        {"id": "usr_dana", "name": "Dana Ivers", "email": "dana@northwind.example", "role": "developer"},
    )
    yield
    production = dana.does(
        "api_key.create", "POST", "/api-keys", {"name": "production-web", "project_id": copilot, "limit": 100}
    )["id"]
    dana.does(
        "api_key.iam_rule.create",
        "POST",
        f"/api-keys/{production}/iam-rules",
        {"type": "allow_models", "values": ["gpt-5", "claude-opus-5"]},
    )
    yield
    staging = chidi.does(
        "api_key.create", "POST", "/api-keys", {"name": "staging-web", "project_id": copilot, "limit": 20}
    )["id"]
    rule = chidi.does(
        "api_key.iam_rule.create",
        "POST",
        f"/api-keys/{staging}/iam-rules",
        {"type": "deny_providers", "values": ["openai"]},
    )["id"]
    yield
    chidi.does("provider_key.update", "PATCH", f"/provider-keys/{openai}", {"token": "sk-mine"}, expect=403)
    yield
    bruno.does("provider_key.update", "PATCH", f"/provider-keys/{openai}", {"token": "sk-second-b1e8"})
    yield
    ada.does("team_member.update", "PATCH", "/members/usr_dana", {"role": "admin"})
    yield
    dana.does("api_key.update_limit", "PATCH", f"/api-keys/{production}/limit", {"limit": 250})
    dana.does("project.update", "PATCH", f"/projects/{copilot}", {"caching": True, "cache_seconds": 300})
    yield
    mistral = dana.does(
        "provider_key.create",
        "POST",
        "/provider-keys",
        {"name": "Mistral EU", "provider": "mistral", "token": "sk-eu-0d42"},
    )["id"]
    dana.does("team_member.update", "PATCH", "/members/usr_dana", {"role": "owner"}, expect=403)
    yield

    # Money, and who may not touch it.
    card = {"amount": 250, "card": "card_declined"}
    bruno.does("payment.credit_topup", "POST", "/billing/credits", card, expect=402)
    bruno.does("payment.credit_topup", "POST", "/billing/credits", card | {"card": "card_mastercard"})
    yield
    dana.does("subscription.cancel", "POST", "/billing/subscription/cancel", expect=403)
    yield
    ada.does("subscription.cancel", "POST", "/billing/subscription/cancel")
    yield
    ada.does("subscription.resume", "POST", "/billing/subscription/resume")
    ada.does("subscription.resume", "POST", "/billing/subscription/resume", expect=409)
    yield

    # A developer looks for the limits of his role, the pipeline for those of its own.
    chidi.does("team_member.update", "PATCH", "/members/usr_chidi", {"role": "admin"}, expect=403)
    chidi.does("organization.delete", "DELETE", "", expect=403)
    yield
    chidi.does("api_key.iam_rule.update", "PATCH", f"/api-keys/{staging}/iam-rules/{rule}", {"values": ["mistral"]})
    yield
    ci.does("api_key.update_limit", "PATCH", f"/api-keys/{staging}/limit", {"limit": 40})
    ci.does("project.delete", "DELETE", f"/projects/{copilot}", expect=403)
    yield
    experiment = bruno.does("project.create", "POST", "/projects", {"name": "Voice experiment"})["id"]
    bruno.does("project.create", "POST", "/projects", {"name": "Voice experiment"}, expect=409)
    yield
    bruno.does("project.delete", "DELETE", f"/projects/{experiment}")
    yield

    # The wrong button, and back.
    ada.does("organization.delete", "DELETE", "")
    ada.does("organization.update", "PATCH", "", {"status": "active"})
    yield
    dana.does("organization.update", "PATCH", "", {"auto_top_up": True})
    yield

    # The production site goes dark.
    chidi.does("api_key.update_status", "PATCH", f"/api-keys/{production}/status", {"status": "inactive"}, expect=403)
    yield
    dana.does("api_key.update_status", "PATCH", f"/api-keys/{production}/status", {"status": "inactive"})
    dana.does("provider_key.delete", "DELETE", f"/provider-keys/{mistral}")
    yield
    bruno.does("api_key.update_status", "PATCH", f"/api-keys/{production}/status", {"status": "active"})
    yield
    bruno.does("team_member.remove", "DELETE", "/members/usr_ada", expect=409)
    ada.does("team_member.remove", "DELETE", "/members/usr_dana")
    yield
    chidi.does("api_key.iam_rule.delete", "DELETE", f"/api-keys/{staging}/iam-rules/{rule}")
    chidi.does("api_key.delete", "DELETE", f"/api-keys/{staging}")
    yield
    bruno.does(
        "team_member.add",
        "POST",
        "/members",
        {"id": "usr_farid", "name": "Farid Haddad", "email": "farid@northwind.example", "role": "developer"},
    )
    yield
