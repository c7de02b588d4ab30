"""Words of JavaScript that say where a value comes from, and what runs or loads it."""

import base64
import binascii
import re

KEPT_PLACES = re.compile(
    r"\.npmrc|\.ss[h](?:/|\\|['\"]|$)|\bid_(?:rsa|ed25519)|\.aws\b|\.netrc|\.git-credentials|\.bash_history|\.zsh_history"
    r"|Login[ ]Data|\.docker/config|\.kube/config|\.gnupg|Local Extension Settings|exodus|\.electrum"
    r"|/etc/shadow|serviceaccount/token|key4\.db|logins\.json"
    r"|\bwallet\.dat\b|\.config/solana|[Ee]thereum[/\\]+keystore|Local Storage[/\\]+leveldb"
    r"|\bUser Data\b|\.pypirc\b|\.config/google-chrome|BraveSoftware|\.mozilla/firefox"
    r"|cookies\.sqlite|/proc/(?:self|\d+)/environ"
)
STAYING_PLACES = re.compile(
    r"\.(?:bashrc|bash_profile|zshrc|zprofile|profile)\b|authorized_keys|LaunchAgents|/autostart\b|/etc/cron"
    r"|systemd/user|Programs[/\\]+Startup|/etc/rc\.local"
)
CARRIERS = re.compile(r"\.(?:png|jpe?g|gif|ico|woff2?|ttf|dat|bin|map|mp3|wav|pdf)\Z")
"""Ends of names of files that hold no code, whatever somebody runs them as."""
_NET_WORDS = """
http https http2 net tls dgram axios node-fetch got undici ws request needle superagent phin cross-fetch
isomorphic-fetch follow-redirects socket.io-client mqtt amqplib discord.js telegraf
node-telegram-bot-api irc tmi.js ethers web3 viem @solana/web3.js tronweb @mysten/sui aptos
"""
KEEPERS = re.compile(
    r"\bsecurity\s+(?:find-(?:generic|internet)-password|dump-keychain)|\bgit\s+credential(?:-\w+)?\s+(?:fill|get)\b"
    r"|\bsecret-tool\s+(?:lookup|search)|\bpbpaste\b|\b[gG]et-[cC]lipboard\b|\bxclip\b[^|]{0,40}\s-o\b"
    r"|\bscreencapture\b|\bkubectl\s+get\s+secrets?\b|\bcat\s+\S*(?:/\.ssh/id_|/etc/shadow|/\.aws/credentials)"
)
"""Commands that ask what keeps secrets, the clipboard or the screen."""
VENDORS = re.compile(
    r"\b(gh) auth token|\b(gcloud) auth print-|\b(npm) config get \S*_authToken"
    r"|\b(aws) configure (?:get|export)"
    r"|\b(az) account get-access-token"
)
"""Commands that ask for one vendor's key: honest where a program speaks to that vendor alone."""
HOSTS = re.compile(r"169\.254\.169\.254|metadata\.google\.internal")
"""Where hosts of clouds tell whoever runs on them their keys."""
SCREENS = frozenset({"screenshot-desktop", "desktop-screenshot", "node-screenshots"})
OPENERS = re.compile(r"\A(?:ssh-(?:rsa|ed25519)|ecdsa-sha2-\S{1,30}) AAAA")
NETS = frozenset(_NET_WORDS.split())
RUNS = frozenset(["eval", "Function", "runInThisContext", "runInNewContext", "runInContext", "_compile"])
READERS = re.compile(r"(?:(?:readFile|createReadStream|readdir|copyFile)(?:Sync)?|Database(?:Sync)?)\Z")
SECRETS = frozenset({"mnemonic", "seedPhrase", "seed", "secretKey", "privateKey"})
"""What functions call a key that they are given."""
WALLETS = re.compile(r"Keypair\Z|Wallet\Z|from(?:Mnemonic|SecretKey|PrivateKey|Seed|Secret)\Z")
DECODERS = re.compile(
    r"(?:atob|unescape|fromCharCode|(?:inflate|gunzip|unzip|inflateRaw|brotliDecompress)(?:Sync)?"
    r"|createDecipher(?:iv)?)\Z"
)
NAMING = frozenset({"require", "globalThis", "window", "global", "self"})
"""What gives a module or a function by a name."""
_LONGEST_SPELLED = 400
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){2,}\Z")
_LOADERS = frozenset({"createRequire", "getBuiltinModule"})
HOMES = frozenset({"HOME", "USERPROFILE"})
"""Settings that say where a person's home is."""
MACHINES = frozenset({"hostname", "userInfo", "networkInterfaces"})


def loads(said: str, before: str, after: str) -> bool:
    """Return whether a word is what loads modules, by another name than it is called by everywhere."""
    if said == "require":
        return before in {"=", "(", ","} and after not in {"(", "."}
    return (said == "_load" and before == ".") or (said in _LOADERS and after == "(")


def runs(said: str, before: str, after: str) -> bool:
    """Return whether a word gives what runs code another name, or is such a name."""
    return said in {"eval", "Function"} and before in {"=", ","} and after in {";", ",", ")"}


def spelled(written: str) -> bool:
    """Return whether base64 or hexadecimal digits, at most 400, stand for letters of ASCII alone."""
    if len(written) > _LONGEST_SPELLED:
        return False
    try:
        if _HEX.match(written):
            said = bytes.fromhex(written)
        else:
            said = base64.b64decode(written + "=" * (-len(written) % 4))
    except (ValueError, binascii.Error):
        return False
    return said.isascii() and said.decode("ascii").isprintable() and bool(said)
