"""What happens on any day: keys made, limited, switched and thrown away by whoever is at work."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from examples.gateway.people import Office, Person

WORDS = ("search", "summaries", "chat", "translation", "triage", "billing", "evals", "docs", "onboarding", "voice")
PLACES = ("dev", "test", "preview", "nightly")
MODELS = ("gpt-5", "gpt-5-mini", "claude-opus-5", "claude-haiku-5", "mistral-large-3", "llama-5-70b")
MOST_KEYS = 9


@dataclass
class Key:
    """What somebody at work remembers of a key."""

    id: str
    active: bool = True
    rules: list[str] = field(default_factory=list)


@dataclass
class Routine:
    """Ordinary work, one request at a time, the same for the same random numbers."""

    office: Office
    random: Random
    keys: list[Key] = field(default_factory=list)

    def step(self) -> None:
        """Let somebody do something."""
        developer = self.office.person(self.random.choice(("chidi", "elif", "ci")))
        if len(self.keys) < 2:
            self.create_key(developer)
            return
        # What can be done, and how often it is.
        choices: list[tuple[int, Callable[[Person], None]]] = [
            (6, self.create_key if len(self.keys) < MOST_KEYS else self.delete_key),
            (5, self.change_limit),
            (4, self.create_rule),
            (3, self.change_rule),
            (2, self.delete_rule),
            (3, self.switch_key),
            (2, self.delete_key),
            (2, self.change_project),
            (1, self.top_up),
            (1, self.try_to_switch_key),
            (1, self.ask_for_too_much),
        ]
        weights, deeds = zip(*choices, strict=True)
        self.random.choices(deeds, weights)[0](developer)

    def create_key(self, who: Person) -> None:
        """Make a key for something."""
        name = f"{self.random.choice(WORDS)}-{self.random.choice(PLACES)}"
        body = {"name": name, "project_id": "prj_web", "limit": self.random.choice((10, 25, 50, None))}
        self.keys.append(Key(who.does("api_key.create", "POST", "/api-keys", body)["id"]))

    def delete_key(self, who: Person) -> None:
        """Throw the oldest key away."""
        who.does("api_key.delete", "DELETE", f"/api-keys/{self.keys.pop(0).id}")

    def change_limit(self, who: Person) -> None:
        """Let a key spend more, or less."""
        limit = {"limit": self.random.randrange(10, 500, 5)}
        who.does("api_key.update_limit", "PATCH", f"/api-keys/{self.random.choice(self.keys).id}/limit", limit)

    def ask_for_too_much(self, who: Person) -> None:
        """Ask for a limit that the plan does not have."""
        path = f"/api-keys/{self.random.choice(self.keys).id}/limit"
        who.does("api_key.update_limit", "PATCH", path, {"limit": 50_000}, expect=409)

    def switch_key(self, _: Person) -> None:
        """Let the admin disable a key, or enable it again."""
        key = self.random.choice(self.keys)
        key.active = not key.active
        status = {"status": "active" if key.active else "inactive"}
        self.office.person("bruno").does("api_key.update_status", "PATCH", f"/api-keys/{key.id}/status", status)

    def try_to_switch_key(self, who: Person) -> None:
        """Try the same without being an admin."""
        path = f"/api-keys/{self.random.choice(self.keys).id}/status"
        who.does("api_key.update_status", "PATCH", path, {"status": "inactive"}, expect=403)

    def create_rule(self, who: Person) -> None:
        """Say which models a key may reach."""
        key = self.random.choice(self.keys)
        body = {"type": self.random.choice(("allow_models", "deny_models")), "values": self.random.sample(MODELS, 2)}
        key.rules.append(who.does("api_key.iam_rule.create", "POST", f"/api-keys/{key.id}/iam-rules", body)["id"])

    def change_rule(self, who: Person) -> None:
        """Say it differently, where there is a rule."""
        if key := self.some_key_with_a_rule():
            path = f"/api-keys/{key.id}/iam-rules/{self.random.choice(key.rules)}"
            who.does("api_key.iam_rule.update", "PATCH", path, {"values": self.random.sample(MODELS, 3)})
        else:
            self.create_rule(who)

    def delete_rule(self, who: Person) -> None:
        """Take a rule back, where there is one."""
        if key := self.some_key_with_a_rule():
            who.does("api_key.iam_rule.delete", "DELETE", f"/api-keys/{key.id}/iam-rules/{key.rules.pop()}")
        else:
            self.create_rule(who)

    def some_key_with_a_rule(self) -> Key | None:
        """Find a key that has a rule."""
        ruled = [key for key in self.keys if key.rules]
        return self.random.choice(ruled) if ruled else None

    def change_project(self, who: Person) -> None:
        """Tune the project's cache."""
        who.does("project.update", "PATCH", "/projects/prj_web", {"cache_seconds": self.random.randrange(30, 900, 30)})

    def top_up(self, _: Person) -> None:
        """Buy credits."""
        amount = {"amount": self.random.choice((50, 100, 200))}
        self.office.person("bruno").does("payment.credit_topup", "POST", "/billing/credits", amount)
