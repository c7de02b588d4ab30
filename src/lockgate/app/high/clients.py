"""What every client of the mirrors has to know, for a page that people copy from."""

from lockgate.app.high.mirrors import mirror_names, mirror_url
from lockgate.app.high.repositories import served_to_apt, served_to_dnf
from lockgate.app.settings import Side
from lockgate.mirror import ClientConfig, NothingForClientError, client_config, clients
from lockgate.mirror.clients.files import KEY_PLACE


def client_configs(side: Side, *, published: bool) -> list[ClientConfig]:
    """Return the configuration of each client that something is served to.

    Where the mirrors are read by API keys, a word stands in the key's place.

    Args:
        side: The high side.
        published: Whether a channel is served at all; apt and dnf are told what is in it.

    Raises:
        LockgateError: The channel does not verify.

    """
    apt = served_to_apt(side) if published else None
    dnf = served_to_dnf(side) if published else None
    key = KEY_PLACE if side.settings.serve.mirror_access == "labels" else ""
    url, names, found = mirror_url(side), mirror_names(side), []
    for name in clients():
        try:
            found.append(client_config(name, url, apt, dnf=dnf, key=key, names=names))
        except NothingForClientError:
            continue
    return found
