"""A name for each protocol of the mirrors: what stands at which name, and what a site's DNS has to know.

At a name of its own a protocol's addresses begin at the root, as they do upstream: what one host has below
``/npm/`` stands at ``/`` there. Protocols whose clients know fixed paths (``/simple/``, ``/v2/``) keep them.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from lockgate.mirror.clients.files import ClientConfig, ConfigFile, lines_of
from lockgate.mirror.errors import MirrorNamesError, NothingForClientError

DNS = "dns"
"""What the records for a site's DNS server are asked for as."""

PREFIXES: Mapping[str, str] = {
    "pypi": "",
    "npm": "/npm",
    "oci": "",
    "huggingface": "",
    "apt": "/apt",
    "rpm": "/rpm",
    "conda": "/conda",
    "git": "/git",
    "files": "/files",
}
"""Below which path each protocol stands where one host has them all."""

RECORD_SECONDS = 3600
"""How long resolvers keep a record."""

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+{_LABEL}", re.ASCII)  # RFC 1035, section 2.3.1


@dataclass(frozen=True, slots=True)
class MirrorNames:
    """The name of each protocol that has one."""

    by_protocol: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> Self:
        """Read ``PROTOCOL=NAME`` with spaces between.

        Raises:
            MirrorNamesError: A protocol is unknown or named twice, or a name is none or has two protocols.

        """
        found: dict[str, str] = {}
        for word in text.split():
            protocol, _, said = word.partition("=")
            name = said.lower()
            if protocol not in PREFIXES:
                what = f"The mirrors know no protocol {protocol[:40]!r}."
                raise MirrorNamesError(what, advice=f"Name one of: {', '.join(PREFIXES)}.")
            if not _NAME.fullmatch(name) or name.rpartition(".")[2].isdigit():
                what = f"{said[:80]!r} is no host name with a domain."
                raise MirrorNamesError(what)
            if protocol in found or name in found.values():
                what = f"{word[:120]!r} names a protocol or a host a second time."
                raise MirrorNamesError(what)
            found[protocol] = name
        return cls(found)

    def __bool__(self) -> bool:
        """Tell whether any protocol has a name."""
        return bool(self.by_protocol)

    def url(self, protocol: str, url: str) -> str:
        """Return the address of a protocol: at its name, with scheme and port of the mirrors' own address."""
        name = self.by_protocol.get(protocol)
        if name is None:
            return url
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{name}{port}"

    def below(self, protocol: str) -> str:
        """Return the path below which a protocol stands at its address."""
        return "" if protocol in self.by_protocol else PREFIXES[protocol]


def dns_config(names: MirrorNames, url: str, addresses: Sequence[str] = ()) -> ClientConfig:
    """Return lines of a zone file (RFC 1035, section 5.1) and of hosts(5) for the mirrors' names.

    Args:
        names: The names.
        url: The mirrors' own address.
        addresses: IP addresses that the names lead to; none: that of `url`, or its name by an alias.

    Raises:
        NothingForClientError: There are no names, or nothing that they could lead to.
        MirrorNamesError: An address is none.

    """
    own = (urlsplit(url).hostname or "").rstrip(".")
    known = sorted(set(names.by_protocol.values()))
    if not known:
        raise NothingForClientError("serve.mirror_names has no name.")
    found = [_address(each) for each in addresses]
    named = bool(_NAME.fullmatch(own)) and not own.rpartition(".")[2].isdigit()
    if not found and not named:
        found = [_address(own)]
    if any(each.is_unspecified for each in found):
        what = "The mirrors listen on every address of their host, and none of them is told."
        raise NothingForClientError(what, advice="Name the address with --address, or set serve.mirror_url.")
    all_names = list(dict.fromkeys([*([own] if named else []), *known]))
    if found:
        records = [
            f"{name}. {RECORD_SECONDS} IN {'A' if each.version == 4 else 'AAAA'} {each}"  # noqa: PLR2004
            for name in all_names
            for each in found
        ]
        hosts = [f"{each} {' '.join(all_names)}" for each in found]
        files = (ConfigFile("zone", lines_of(*records)), ConfigFile("/etc/hosts", lines_of(*hosts)))
        return ClientConfig(DNS, files)
    records = [f"{name}. {RECORD_SECONDS} IN CNAME {own}." for name in known if name != own]
    return ClientConfig(DNS, (ConfigFile("zone", lines_of(*records)),))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        what = f"{text[:80]!r} is no IP address."
        raise MirrorNamesError(what) from error
