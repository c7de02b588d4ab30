"""What a host has to do so that its libraries find asset packs: variables, and one command for each file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from shlex import quote as shell_quote
from urllib.parse import quote

from lockgate.core.assets import PLACE, AssetPlaceError, Library, read_place
from lockgate.core.snapshot import Admitted
from lockgate.mirror.clients.files import ClientConfig, Place
from lockgate.mirror.clients.names import MirrorNames
from lockgate.mirror.errors import NothingForClientError
from lockgate.mirror.pages.files import served_files

_FOLDERS = {
    Library.TIKTOKEN: ("TIKTOKEN_CACHE_DIR", "/usr/local/share/tiktoken"),
    Library.NLTK: ("NLTK_DATA", "/usr/local/share/nltk_data"),
    Library.OSV_SCANNER: ("OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY", "/usr/local/share/osv"),
}
"""The variable by which a library finds its folder, and where that is unless a host says otherwise."""

_BELOW = {Library.OSV_SCANNER: ("osv-scanner/", "osv-scalibr/")}
"""Folders below the library's: the second is where its versions from 2.6 on look."""

_DRIVERS = "/usr/local/src/drivers"


@dataclass(frozen=True, slots=True)
class Asset:
    """A served file with a known place."""

    library: Library
    place: str
    path: str
    sha256: str


def assets_of(admitted: Sequence[Admitted]) -> tuple[Asset, ...]:
    """Return the assets of a snapshot by their places; a place that is none of ours is passed over.

    Where two crossings brought something for one place, it is the newer one's.
    """
    served, found = served_files(admitted), dict[tuple[Library, str], Asset]()
    for each in sorted(admitted, key=lambda a: a.crossing):
        text = each.artifact.attributes.get(PLACE)
        if text is None or len(each.artifact.files) != 1:
            continue
        try:
            library, place = read_place(text)
        except AssetPlaceError:
            continue
        file = each.artifact.files[0]
        if file.path in served and served[file.path].sha256 == file.sha256:
            found[library, place] = Asset(library, place, file.path, file.sha256)
    return tuple(found[key] for key in sorted(found))


def asset_config(
    library: Library,
    url: str,
    assets: Sequence[Asset],
    *,
    authority: str = "",
    key: str = "",
    certificate: str = "",
    names: MirrorNames | None = None,
) -> ClientConfig:
    """Return what a host needs of the assets of a library.

    Args:
        library: What looks for them.
        url: The mirrors' address.
        assets: What is served.
        authority: Where the internal authority's certificate lies on the host; empty: it is trusted already.
        key: The API key, where the mirrors ask for one.
        certificate: Where the host's own certificate and its key lie, as PEM in one file; empty: none.
        names: Names of single protocols, which take the place of the address's host.

    Raises:
        NothingForClientError: None is served.

    """
    mine = [asset for asset in assets if asset.library is library]
    if not mine:
        what = f"No asset for {library} is served."
        raise NothingForClientError(what)
    names = names or MirrorNames()
    place = Place.of(names.url("files", url), authority, key, certificate, names.below("files"))
    environment = (_FOLDERS[library],) if library in _FOLDERS else ()
    commands = tuple(line for asset in mine for line in _commands(asset, place))
    return ClientConfig(str(library), environment=environment, notes=commands)


def _commands(asset: Asset, place: Place) -> Iterator[str]:
    """Yield what fetches an asset to its place and compares it; each path is one word for a shell."""
    address = f"{place.with_key}{place.below}/{quote(asset.path)}"
    variable = _FOLDERS.get(asset.library, ("", _DRIVERS))
    folder = f'"${variable[0]}"/' if variable[0] else f"{variable[1]}/"
    authority = shell_quote(place.authority) if place.authority else ""
    own = shell_quote(place.certificate) if place.certificate else ""
    if asset.library is Library.SPACY:
        trusted = f" --cert {authority}" if authority else ""
        trusted += f" --client-cert {own}" if own else ""
        yield f"pip install{trusted} {shell_quote(f'{address}#sha256={asset.sha256}')}"
        return
    first, *others = _BELOW.get(asset.library, ("",))
    target = f"{folder}{first}{shell_quote(asset.place)}"
    trusted = f" --cacert {authority}" if authority else ""
    trusted += f" --cert {own} --key {own}" if own else ""
    yield f"curl --fail{trusted} --create-dirs --output {target} {shell_quote(address)}"
    yield f'echo "{asset.sha256}  "{target} | sha256sum --check'
    for other in others:
        yield f"install -D --mode 644 {target} {folder}{other}{shell_quote(asset.place)}"
