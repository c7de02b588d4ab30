"""Secrets that somebody left in a text: keys, tokens and passwords, by the detectors of detect-secrets.

Rules of our own find where one may stand, in one pass; the detectors decide on that place alone. They run
inside the sandbox and ask nobody whether a secret works: the library that would do so is not there. A
finding says what kind of secret it is and where, never the secret.
"""

import re
import sys
import threading
from base64 import b64decode
from binascii import Error as BinasciiError
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.detect import extension
from lockgate.inspect.malware import compiled
from lockgate.inspect.rulesets import OWN
from lockgate.inspect.tally import Context, Tally

NAME, VERSION = "secrets", 5
_SELF = f"{NAME}/{VERSION}"
_RULES, _DOCUMENT = Kind.RULES, Kind.DOCUMENT
PACK, AGAIN = "secrets.yar", "secrets_again.yar"
"""Rules for every text, and costly ones that are tried only where the one of the same name says so."""

TYPES = frozenset({"text", "text-latin1", "python", "json", "html", "xml", "markdown", "mail"})

_AROUND = 400
"""How much of a line is looked at before and behind a place, in bytes; lines of minified code are long."""

_SEARCHED = 16 << 20
"""How much of one text is searched, in bytes."""

_PLACES = 50
"""Places of each kind that are looked at in one text."""

_LINES = 20_000
"""Lines of a configuration or document that are looked at for names of passwords."""

_ENDINGS = "env ini cfg conf config properties toml yaml yml npmrc pypirc netrc tfvars"
_SETTINGS = frozenset(_ENDINGS.split())
_DOTTED = frozenset({".env", ".npmrc", ".pypirc", ".netrc", ".git-credentials"})
_ASIDE = re.compile(
    r"(?:^|[/!])(?:tests?|testing|docs?|examples?|samples?|fixtures?)(?:[/!]|\Z)|(?:^|/)test_"
)
_EXAMPLE = re.compile(
    r"example|sample|dummy|fake|test|changeme|change[-_ ]me|placeholder|redacted|secret|passw|your|todo|foo"
    r"|bar|token|user|\Atiger\Z|xxx|\*\*\*|\.\.\.|<|>|\$|\{|%|0{6}|1234|abcd",
    re.IGNORECASE,
)
"""What stands in the place of a secret in texts that explain one; `tiger` is that of Oracle's samples."""

_NAMED = re.compile(r"pass|pwd|secret|key|contrase", re.IGNORECASE)
_LOGIN = re.compile(rb'"auth" {0,4}: {0,4}"([A-Za-z0-9+/]{1,8000})={0,2}"')
_LOGINS = 1 << 16
"""From where a registry is named, how far its logins are looked for, in bytes."""
_LEAST = 8
"""Shortest password that a name alone gives away, in characters."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector: its module, its code, what it finds, how bad that is, and whether examples are common."""

    module: str
    code: str
    what: str
    severity: Severity = Severity.HIGH
    examples: bool = False


DETECTORS = {
    "AWSKeyDetector": Detector("aws", "aws-key", "a key of AWS"),
    "AzureStorageKeyDetector": Detector("azure_storage_key", "azure-key", "a key of an Azure store"),
    "BasicAuthDetector": Detector(
        "basic_auth", "basic-auth", "a password in an address", Severity.MEDIUM, examples=True
    ),
    "CloudantDetector": Detector("cloudant", "cloudant", "a credential of Cloudant"),
    "DiscordBotTokenDetector": Detector("discord", "discord-token", "a token of Discord"),
    "GitHubTokenDetector": Detector("github_token", "github-token", "a token of GitHub"),
    "GitLabTokenDetector": Detector("gitlab_token", "gitlab-token", "a token of GitLab"),
    "IbmCloudIamDetector": Detector("ibm_cloud_iam", "ibm-key", "a key of IBM Cloud"),
    "JwtTokenDetector": Detector("jwt", "jwt", "a signed token (JWT)", Severity.MEDIUM, examples=True),
    "MailchimpDetector": Detector("mailchimp", "mailchimp-key", "a key of Mailchimp"),
    "NpmDetector": Detector("npm", "npm-token", "a token of an npm registry"),
    "OpenAIDetector": Detector("openai", "openai-key", "a key of OpenAI"),
    "PrivateKeyDetector": Detector("private_key", "private-key", "a private key", examples=True),
    "PypiTokenDetector": Detector("pypi_token", "pypi-token", "a token of a Python index"),
    "SendGridDetector": Detector("sendgrid", "sendgrid-key", "a key of SendGrid"),
    "SlackDetector": Detector("slack", "slack-token", "a token of Slack"),
    "SoftlayerDetector": Detector("softlayer", "softlayer", "a credential of SoftLayer"),
    "SquareOAuthDetector": Detector("square_oauth", "square-key", "a key of Square"),
    "StripeDetector": Detector("stripe", "stripe-key", "a key of Stripe"),
    "TelegramBotTokenDetector": Detector("telegram_token", "telegram-token", "a token of a Telegram bot"),
    "TwilioKeyDetector": Detector("twilio", "twilio-key", "a key of Twilio"),
    "ArtifactoryDetector": Detector("artifactory", "artifactory", "a credential of Artifactory"),
    "GoogleKey": Detector("", "google-key", "a key of Google", Severity.MEDIUM),
    "GoogleSecret": Detector("", "google-secret", "a client's secret of Google"),
    "HuggingFaceToken": Detector("", "huggingface-token", "a token of Hugging Face"),
    "ModelServiceKey": Detector("", "model-service-key", "a key of a service that serves models"),
    "GitHubFineToken": Detector("", "github-token", "a token of GitHub"),
    "NpmBareToken": Detector("", "npm-token", "a token of an npm registry"),
    "HostingToken": Detector("", "hosting-token", "a token of a hosting service"),
    "VaultToken": Detector("", "vault-token", "a token of a vault"),
    "AgeKey": Detector("", "private-key", "a private key", examples=True),
    "ClusterKey": Detector("", "private-key", "a private key", examples=True),
    "RegistryLogin": Detector("", "registry-login", "a login at a registry"),
    "NetrcLogin": Detector("", "password", "a password", Severity.MEDIUM),
    "PuttyKey": Detector("", "private-key", "a private key", examples=True),
}
"""By the detector's class, or by a rule of our own that decides alone. Left out are detectors of high entropy
and addresses, which fire on any hash."""

_KEYWORD = "KeywordDetector"
_PASSWORD = Detector("keyword", "password", "a password", Severity.MEDIUM)


def _without_network() -> None:
    """Put nothing in the place of the library by which detectors would ask whether a secret works."""
    if "requests" not in sys.modules:
        absent, errors = ModuleType("requests"), ModuleType("requests.exceptions")
        errors.RequestException = OSError  # type: ignore[attr-defined]
        absent.exceptions, absent.Response = errors, object  # type: ignore[attr-defined]
        sys.modules["requests"], sys.modules["requests.exceptions"] = absent, errors


@cache
def _detector(name: str) -> Any:
    _without_network()
    module = DETECTORS[name].module if name in DETECTORS else "keyword"
    return getattr(import_module(f"detect_secrets.plugins.{module}"), name)()


@cache
def _heuristics() -> Any:
    _without_network()
    return import_module("detect_secrets.filters.heuristic")


@cache
def _rules(pack: str) -> Any:
    return compiled({NAME: (OWN / pack).read_text(encoding="utf-8")})


@cache
def _costly() -> frozenset[str]:
    """Return the names of the rules that are tried again, with all that they look for."""
    return frozenset(_RULE.findall((OWN / AGAIN).read_text(encoding="utf-8")))


_RULE = re.compile(r"(?m)^rule (\w+)")
_local = threading.local()


def _places(pack: str) -> Any:
    """Return this thread's scanner for places where a secret may stand."""
    held: dict[str, Any] = _local.__dict__.setdefault("held", {})
    if pack not in held:
        import yara_x  # noqa: PLC0415  # only inside the sandbox

        held[pack] = yara_x.Scanner(_rules(pack))
        held[pack].max_matches_per_pattern(_PLACES)
    return held[pack]


def _matching(raw: bytes) -> Iterator[Any]:
    """Yield the rules that match a text, in the order of their pack."""
    for rule in _places(PACK).scan(raw).matching_rules:
        if rule.identifier in _costly():
            yield from (
                each for each in _places(AGAIN).scan(raw).matching_rules if each.identifier == rule.identifier
            )
        else:
            yield rule


def load() -> None:
    """Load all detectors ahead, for a process that forks many that use them."""
    for name in (*(name for name, known in DETECTORS.items() if known.module), _KEYWORD):
        _detector(name)
    _heuristics()
    _costly()
    for pack in (PACK, AGAIN):
        _places(pack)


def look(data: memoryview, tally: Tally, context: Context) -> None:
    """Note the secrets in one text, or in what a document says."""
    plain = tally.detected in TYPES
    if not (plain or tally.texts) or context.kind == _RULES:
        return
    tally.inspectors.add(_SELF)
    places = not (plain and tally.seen) or tally.seen.secret
    if not (places or _is_settings(context)):
        return
    for raw in [bytes(data[:_SEARCHED])] if plain else [text.encode() for text in tally.texts]:
        in_text(raw, tally, context, places=places)


def in_text(raw: bytes, tally: Tally, context: Context, *, places: bool = True) -> None:
    """Note the secrets in a text, given as UTF-8 or Latin-1.

    Args:
        raw: The text.
        tally: Takes the findings.
        context: What it is a part of.
        places: Whether there may be any that a rule finds; passwords with a name are looked for anyway.

    """
    seen: set[int] = set()
    for rule in _matching(raw) if places else ():
        known = DETECTORS[rule.identifier]
        found = {match.offset: match.length for pattern in rule.patterns for match in pattern.matches}
        for at, length in sorted(found.items()):
            line, shown = _line(raw, at), raw[at : at + length].decode("utf-8", "replace")
            if at not in seen and any(
                _real(each, line, known) for each in _said(rule.identifier, line, shown)
            ):
                seen.add(at)
                severity = _severity(known, context)
                if published(context) and _shows(known, raw, at, shown):
                    severity = Severity.INFO
                _note(replace(known, severity=severity), raw, at, tally, context)
    if _is_settings(context) and not _heuristics().is_lock_file(context.name):
        for at, line in _named_lines(raw):
            if at not in seen and _password(line, context):
                _note(_PASSWORD, raw, at, tally, context)


def _line(raw: bytes, at: int) -> str:
    start = max(raw.rfind(b"\n", max(0, at - _AROUND), at) + 1, at - _AROUND, 0)
    end = raw.find(b"\n", at, at + _AROUND)
    return raw[start : end if end >= 0 else at + _AROUND].decode("utf-8", "replace")


def _said(name: str, line: str, shown: str) -> Iterator[str]:
    """Yield what a detector sees in a line; where it gives only a part, such as a prefix, the whole place."""
    if not DETECTORS[name].module:
        yield shown
        return
    for said in _detector(name).analyze_string(line):
        yield said if len(said) >= _LEAST or name == "BasicAuthDetector" else shown


def _real(secret: str, line: str, known: Detector) -> bool:
    """Return whether it is not merely what stands in a secret's place in an explanation."""
    rules = _heuristics()
    if known.code == "private-key":
        return True
    if known.code == "aws-key" and f"X-Amz-Credential={secret}" in line:
        return False  # a signed address names the key that signed it, which is in nobody's hands by that
    if rules.is_sequential_string(secret) or rules.is_templated_secret(secret):
        return False
    if rules.is_prefixed_with_dollar_sign(secret) or len(set(secret)) < 5:  # noqa: PLR2004  # xxxx, 0000
        return False
    if known.examples and _EXAMPLE.search(secret):
        return False
    return "EXAMPLE" not in secret.upper() and not (known.examples and "example." in line)


def published(context: Context) -> bool:
    """Return whether content was published for all: it is a secret of the site's only seldom."""
    return context.package or context.kind in {Kind.PYTHON, Kind.NPM, Kind.OCI, Kind.OLLAMA}


def _severity(known: Detector, context: Context) -> Severity:
    """Return how bad a secret is here."""
    if not published(context):
        return known.severity
    if known.examples or _ASIDE.search(context.where or context.name):
        return Severity.INFO
    return Severity.LOW


def _shows(known: Detector, raw: bytes, at: int, shown: str) -> bool:
    """Return whether a text shows how a login is written, at registries or in ``.netrc``, without one."""
    if known.code == "registry-login":
        return not _logs_in(raw, at)
    return known.code == "password" and bool(_EXAMPLE.search(shown.rsplit(maxsplit=1)[-1]))


def _logs_in(raw: bytes, at: int) -> bool:
    """Return whether a login at a registry from a place on is one: a name, a colon and what may be nothing.

    A registry's clients read nothing else there (config.json of Docker, ``auths``), so that other letters are
    an example's.
    """
    for found in _LOGIN.finditer(raw, at, at + _LOGINS):
        try:
            name, colon, _ = b64decode(found[1] + b"=" * (-len(found[1]) % 4)).partition(b":")
        except BinasciiError:
            continue
        if colon and name.isascii() and name.decode("ascii").isprintable():
            return True
    return False


def _is_settings(context: Context) -> bool:
    """Return whether names of passwords count: in configurations and documents outside of packages."""
    if context.package:
        return False
    name = context.name.rpartition("/")[2]
    named = extension(context.name) in _SETTINGS or name in _DOTTED or name.startswith(".env.")
    return named or context.kind == _DOCUMENT


def _named_lines(raw: bytes) -> Iterator[tuple[int, str]]:
    at = 0
    for number, line in enumerate(raw.split(b"\n")):
        if number >= _LINES:
            return
        if len(line) <= 2 * _AROUND and _NAMED.search(text := line.decode("utf-8", "replace")):
            yield at, text
        at += len(line) + 1


def _password(line: str, context: Context) -> bool:
    rules, detector = _heuristics(), _detector(_KEYWORD)
    if rules.is_indirect_reference(line):
        return False
    quoted = context.kind == Kind.DOCUMENT
    module = import_module("detect_secrets.plugins.keyword")
    groups = (
        module.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP if quoted else module.CONFIG_DENYLIST_REGEX_TO_GROUP
    )
    return any(
        len(secret) >= _LEAST
        and " " not in secret.strip()
        and any(char.isdigit() for char in secret)
        and not (rules.is_sequential_string(secret) or rules.is_potential_uuid(secret))
        and not (rules.is_templated_secret(secret) or rules.is_prefixed_with_dollar_sign(secret))
        and not _EXAMPLE.search(secret)
        and not secret.startswith(("/", "http", "./"))
        for secret in detector.analyze_string(line, denylist_regex_to_group=groups)
    )


def _note(known: Detector, raw: bytes, at: int, tally: Tally, context: Context) -> None:
    context.budget.secrets += 1
    over = context.budget.secrets - context.limits.secrets
    if over == 1:
        why = f"There are more secrets than {context.limits.secrets} (bound: secrets)."
        tally.note("secret-more", known.severity, why)
    elif over <= 0:
        line = raw.count(b"\n", 0, at) + 1
        tally.note(f"secret-{known.code}", known.severity, f"It looks like {known.what}, in line {line}.", at)
