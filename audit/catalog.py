"""The catalog: which actions exist, what each means, and what type of resource it is about.

The built-in one is `catalog.toml` beside this file; a deployment adds its own in a file of the same form. In `open` mode an
action outside the catalog is taken and marked (`catalog: unknown`); in `strict` mode it is refused.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast

import jsonschema
from pydantic import BaseModel, ConfigDict, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from audit.errors import ConfigurationError, InvalidEvent
from audit.event import ACTION_PATTERN, RESOURCE_TYPE_PATTERN

Mode = Literal["open", "strict"]
_action = re.compile(ACTION_PATTERN).fullmatch
_segment = re.compile(RESOURCE_TYPE_PATTERN).fullmatch
_LONGEST = 128


class _Entry(BaseModel):
    """One action as a catalog file has it."""

    model_config = ConfigDict(extra="forbid")

    description: str
    resource_type: str | None = None
    details_schema: dict[str, Any] | None = None
    senders: bool = False


class _File(BaseModel):
    """A catalog file. `trail` is for what Trailkeeper itself records; only the built-in file uses it."""

    model_config = ConfigDict(extra="forbid")

    actions: dict[str, _Entry] = {}
    trail: dict[str, _Entry] = {}


@dataclass(frozen=True, slots=True)
class CatalogAction:
    """One action: its name, what it means to a reader, and the type of resource it is about."""

    name: str
    description: str
    resource_type: str
    details_schema: Mapping[str, Any] | None = None
    of_the_trail: bool = False
    reserved: bool = False
    """Whether only Trailkeeper itself may record it: nobody else's word that somebody read the trail is worth anything."""


@dataclass(frozen=True)
class Catalog:
    """The actions of this deployment, by name."""

    actions: Mapping[str, CatalogAction]
    mode: Mode = "open"
    _validators: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __iter__(self) -> Iterator[CatalogAction]:
        return iter(self.actions.values())

    def __contains__(self, name: object) -> bool:
        return name in self.actions

    def reserved(self) -> frozenset[str]:
        """Name the actions that no sender may put on the trail."""
        return frozenset(action.name for action in self if action.reserved)

    def resource_type(self, action: str) -> str:
        """Give the resource type that events of this action default to."""
        known = self.actions.get(action)
        return known.resource_type if known else action.rsplit(".", 2)[-2]

    def check(self, action: str, details: Mapping[str, Any] | None) -> bool:
        """Hold one event against the catalog; return whether its action is known.

        Raises InvalidEvent for an unknown action in strict mode, and for details that break the action's schema.
        """
        known = self.actions.get(action)
        if known is None:
            if self.mode == "strict":
                raise InvalidEvent(
                    f"The action {action!r} is not in the catalog.",
                    field="action",
                    fix="Add it to the file that TRAILKEEPER_CATALOG_FILE names, or set TRAILKEEPER_CATALOG=open.",
                )
            return False
        if known.details_schema is not None:
            self._check_details(known, details or {})
        return True

    def _check_details(self, known: CatalogAction, details: Mapping[str, Any]) -> None:
        validator = self._validators.get(known.name)
        if validator is None:
            validator = self._validators[known.name] = jsonschema.Draft202012Validator(
                cast("Mapping[str, Any]", known.details_schema)
            )
        error = next(validator.iter_errors(details), None)
        if error is not None:
            raise InvalidEvent(
                f"The details of {known.name} break the catalog's schema: {_short(error.message)}.",
                field=".".join(["details", *(str(step) for step in error.absolute_path)]),
                fix=f"Send details as the catalog's schema of {known.name} has them.",
            )


def _short(text: str, most: int = 300) -> str:
    """Cut what a validator says: it quotes the value, which may be as large as the event."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"


def _resolve_references(schema: Mapping[str, Any]) -> None:
    """Find each `$ref` now: at an event it would be too late, and nothing is ever fetched. Raises Unresolvable."""
    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    rest: list[Any] = [schema]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            if isinstance(reference := part.get("$ref"), str):
                resolver.lookup(reference)
            rest += part.values()
        elif isinstance(part, list):
            rest += part


def load_catalog(path: Path | None = None, mode: Mode = "open") -> Catalog:
    """Read the built-in catalog and, over it, a deployment's own file.

    Raises ConfigurationError where the file can't be read or an entry can't work, naming the entry.
    """
    actions = dict(_read(files("audit").joinpath("catalog.toml").read_text("utf-8"), "the built-in catalog"))
    if path is not None:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigurationError(
                f"The catalog file {path} can't be read: {why}.",
                field="TRAILKEEPER_CATALOG_FILE",
                fix="Name a TOML file of the form of audit/catalog.toml.",
            ) from None
        for name, action in _read(text, str(path)):
            if action.of_the_trail or (name in actions and actions[name].of_the_trail):
                raise ConfigurationError(
                    f"The catalog in {path} can't be used: {name} would be what Trailkeeper itself records.",
                    field="TRAILKEEPER_CATALOG_FILE",
                    fix="Put your actions under [actions], with names of their own.",
                )
            actions[name] = action
    return Catalog(actions, mode)


def _read(text: str, where: str) -> Iterator[tuple[str, CatalogAction]]:
    def wrong(what: str) -> ConfigurationError:
        return ConfigurationError(
            f"The catalog in {where} can't be used: {what}.",
            field="TRAILKEEPER_CATALOG_FILE",
            fix='See audit/catalog.toml for the form: each name in quotes, like [actions."invoice.send"].',
        )

    try:
        content = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise wrong(f"not TOML ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise wrong(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for section, of_the_trail in ((content.actions, False), (content.trail, True)):
        for name, entry in section.items():
            # fullmatch: Python's $ would let a line feed follow.
            if not _action(name) or len(name) > _LONGEST:
                raise wrong(f"{name!r} is no action name (dotted lower case, at most {_LONGEST} characters)")
            resource_type = entry.resource_type or name.rsplit(".", 2)[-2]
            if not _segment(resource_type) or len(resource_type) > _LONGEST:
                raise wrong(f"{resource_type!r}, the resource type of {name}, is not lower case with underscores")
            if entry.details_schema is not None:
                try:
                    jsonschema.Draft202012Validator.check_schema(entry.details_schema)
                    _resolve_references(entry.details_schema)
                except (jsonschema.SchemaError, Unresolvable) as error:
                    said = getattr(error, "message", None) or f"{error} can't be found; a schema stands alone"
                    raise wrong(f"the details schema of {name} is no JSON Schema ({said})") from None
            yield (
                name,
                CatalogAction(
                    name,
                    entry.description,
                    resource_type,
                    entry.details_schema,
                    of_the_trail,
                    reserved=of_the_trail and not entry.senders,
                ),
            )
