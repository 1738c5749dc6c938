"""Events as an LLM gateway emits them through the SDK: 600 to 700 bytes, unique ids, no type on the resource.

Made from a seed, so that both sides of a figure get the same bytes, and fast, so that making them is never what is
measured.
"""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime

FIRST_NAMES = [
    "Ada",
    "Bruno",
    "Chidi",
    "Dana",
    "Emeka",
    "Farah",
    "Grete",
    "Hiro",
    "Ines",
    "Jonas",
    "Kenji",
    "Lena",
    "Marta",
    "Nils",
    "Olga",
    "Pavel",
    "Rosa",
    "Sven",
]
LAST_NAMES = [
    "Almeida",
    "Brandt",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Gupta",
    "Hansen",
    "Ito",
    "Jansen",
    "Kowalski",
    "Lopez",
    "Moreau",
    "Novak",
]
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15.7; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "gateway-python/2.8.1 httpx/0.28.1 Python/3.12.4 Linux",
)
MODELS = ("gpt-5.2", "claude-sonnet-5", "gemini-3-pro", "mistral-large-3", "llama-4-405b")


def _kinds(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Give an action, the beginning of its resource's id, and its details."""
    old, new = rng.randrange(10, 500), rng.randrange(10, 500)
    model, other = rng.choice(MODELS), rng.choice(MODELS)
    yield (
        "api_key.update_limit",
        "key",
        f'{{"changes":{{"limit_usd":{{"old":{old},"new":{new}}},"period":{{"old":"day","new":"month"}}}},'
        f'"project_id":"prj_{old:06x}","reason":"Budget review"}}',
    )
    yield (
        "api_key.create",
        "key",
        f'{{"changes":{{"scopes":{{"old":null,"new":["chat","embeddings"]}},"limit_usd":{{"old":null,"new":{new}.5}}}},'
        f'"project_id":"prj_{new:06x}","masked":"sk-…{old:04x}"}}',
    )
    yield (
        "api_key.iam_rule.update",
        "rule",
        f'{{"changes":{{"models":{{"old":["{model}"],"new":["{model}","{other}"]}}}},"api_key_id":"key_{new:06x}",'
        f'"effect":"allow","project_id":"prj_{old:06x}"}}',
    )
    yield (
        "team_member.update",
        "usr",
        f'{{"changes":{{"role":{{"old":"developer","new":"admin"}}}},"invited_by":"usr_{old:06x}","team":"Platform",'
        f'"approved":true,"ticket":"OPS-{new}"}}',
    )
    yield (
        "provider_key.update",
        "pk",
        f'{{"changes":{{"base_url":{{"old":"https://eu.provider.example/v1","new":"https://us.provider.example/v{old}"}}}},'
        f'"provider":"{model}"}}',
    )


def events(seed: int, count: int, day: date | None = None) -> list[bytes]:
    """Make `count` events of one UTC day (today's past where there is none given); the same seed makes the same ones."""
    rng = random.Random(f"trailkeeper {seed}")
    now = datetime.now(UTC)
    start = (
        datetime(now.year, now.month, now.day, tzinfo=UTC)
        if day is None
        else datetime(*day.timetuple()[:3], tzinfo=UTC)
    )
    first = int(start.timestamp() * 1000)
    last = min(first + 86_399_999, int(now.timestamp() * 1000) - 1000)
    stretch = max(1, last - first)
    people = [
        (f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}", f"usr_{rng.randrange(1 << 32):08x}") for _ in range(400)
    ]
    addresses = [f"203.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}" for _ in range(1000)]
    templates = [kind for _ in range(40) for kind in _kinds(rng)]
    organizations = [f"org_{rng.randrange(1 << 32):08x}" for _ in range(20)]
    outcomes = ("success",) * 18 + ("failure", "denied")
    made: list[bytes] = []
    for number in range(count):
        moment = first + stretch * number // count
        seconds, milliseconds = divmod(moment - first, 1000)
        noise = rng.getrandbits(128)
        name, person = people[noise % 400]
        action, prefix, details = templates[noise % len(templates)]
        hexadecimal = f"{moment:012x}7{noise >> 116:03x}{8 + (noise >> 114 & 3):x}{noise >> 54 & (1 << 60) - 1:015x}"
        id = f"{hexadecimal[:8]}-{hexadecimal[8:12]}-{hexadecimal[12:16]}-{hexadecimal[16:20]}-{hexadecimal[20:]}"
        time = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"
        email = f"{name.lower().replace(' ', '.')}@example.com"
        made.append(
            (
                f'{{"id":"{id}","occurred_at":"{start:%Y-%m-%d}T{time}Z","organization_id":"{organizations[noise % 20]}",'
                f'"actor":{{"type":"user","id":"{person}","name":"{name}","email":"{email}"}},"action":"{action}",'
                f'"resource":{{"id":"{prefix}_{noise & 0xFFFFFF:06x}","name":"Resource {noise & 0xFFF}"}},'
                f'"outcome":"{outcomes[noise % 20]}","details":{details},'
                f'"context":{{"ip":"{addresses[noise % 1000]}","user_agent":"{AGENTS[noise & 3]}",'
                f'"request_id":"req_{noise >> 80:012x}","trace_id":"{noise:032x}"}},"source":"gateway"}}'
            ).encode()
        )
    return made


def batches(lines: list[bytes], size: int) -> list[bytes]:
    """Put events into NDJSON bodies of `size` events."""
    return [b"\n".join(lines[start : start + size]) for start in range(0, len(lines), size)]
