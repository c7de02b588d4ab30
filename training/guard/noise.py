"""Writes texts as hurried people and attackers write them: misspelt, spaced out, with digits for letters."""

import random

_LEET = str.maketrans("eaiost", "3410$7")
KINDS = ("typos", "leet", "spaced", "no-signs", "doubled", "dashes")


def noisy(text: str, kind: str, rng: random.Random) -> str:
    """Return a text with a kind of noise."""
    match kind:
        case "typos":
            return _typos(text, rng)
        case "leet":
            return "".join(char.translate(_LEET) if rng.random() < 0.6 else char for char in text)
        case "spaced":
            return "  ".join(
                " ".join(word) if len(word) > 4 and rng.random() < 0.5 else word for word in text.split(" ")
            )
        case "no-signs":
            return "".join(char for char in text if char.isalnum() or char.isspace())
        case "doubled":
            return "".join(char * 2 if char.isalpha() and rng.random() < 0.1 else char for char in text)
        case _:
            return text.replace(" ", rng.choice(("-", "_", ".", "  ", "\n")))


def _typos(text: str, rng: random.Random) -> str:
    chars = list(text)
    for _ in range(max(1, len(chars) // 25)):
        at = rng.randrange(max(1, len(chars) - 1))
        match rng.randrange(3):
            case 0:
                chars[at : at + 2] = chars[at : at + 2][::-1]
            case 1:
                del chars[at]
            case _:
                chars.insert(at, rng.choice("abcdefghijklmnopqrstuvwxyz"))
    return "".join(chars)
