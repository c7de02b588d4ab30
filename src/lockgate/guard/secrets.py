"""Patterns of secrets and of personal data, few and with check digits where there are any.

Sources: RFC 7468 (PEM), RFC 7519 (JWT), ISO 13616 (IBAN), ISO/IEC 7812 (card numbers, Luhn), and the
token formats that the makers of the services publish.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LONGEST = 512
"""Longest secret on one line that is looked for, in characters."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of secret. `sure` decides about a match, for kinds that have check digits."""

    id: str
    expression: re.Pattern[str]
    sure: Callable[[str], bool] = bool


def _luhn(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    plain = re.sub(r"\s", "", text).upper()
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


SECRETS: tuple[Pattern, ...] = (
    Pattern("private-key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    Pattern("jwt", re.compile(r"(?<![\w.-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")),
    Pattern("cloud-key", re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])")),
    Pattern(
        "api-token",
        re.compile(
            r"(?<![\w-])(?:ghp_|gho_|ghs_|github_pat_|glpat-|xox[abpr]-|sk-(?:ant-|proj-)?|hf_|npm_"
            r"|pypi-|lgk_)[\w-]{20,}"
        ),
    ),
    Pattern(
        "password",
        re.compile(
            r"(?i)(?<!\w)(?:password|passphrase|api[_-]?key|secret[_-]?key"
            r"|access[_-]?token)[\"']? ?[:=] ?[\"']?"
            r"(?=[^\s\"']*\d)(?=[^\s\"']*[A-Za-z])[^\s\"',;<>(){}]{10,128}"
        ),
    ),
)
PERSONAL: tuple[Pattern, ...] = (
    Pattern("card-number", re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])"), _luhn),
    Pattern(
        "iban", re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)"), _iban
    ),
    Pattern(
        "mail-address",
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})*\.[A-Za-z]{2,24}(?![\w-])"),
    ),
)


def found(text: str, patterns: tuple[Pattern, ...]) -> Iterator[tuple[str, int, int]]:
    """Yield kind, start and end of every secret of a text."""
    for pattern in patterns:
        for match in pattern.expression.finditer(text):
            if pattern.sure(match[0]):
                yield pattern.id, match.start(), match.end()
