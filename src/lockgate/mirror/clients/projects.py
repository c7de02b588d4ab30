"""Configuration of Python's project managers: poetry reads the project's own file, pdm one of the user."""

from lockgate.mirror.clients.files import USER, ClientConfig, ConfigFile, Place, lines_of

_REWRITTEN = "that names other hosts is rewritten by `lockgate lockfile rewrite`."


def poetry_config(place: Place) -> ClientConfig:
    """Return what a project's file says to poetry, which has no index for all projects of a user."""
    text = lines_of(
        "[[tool.poetry.source]]",
        'name = "lockgate"',
        f'url = "{place.url}/simple/"',
        'priority = "primary"',
    )
    environment: tuple[tuple[str, str], ...] = ()
    if place.authority:
        environment += (("POETRY_CERTIFICATES_LOCKGATE_CERT", place.authority),)
    if place.certificate:
        environment += (("POETRY_CERTIFICATES_LOCKGATE_CLIENT_CERT", place.certificate),)
    if place.key:
        environment += (
            ("POETRY_HTTP_BASIC_LOCKGATE_USERNAME", USER),
            ("POETRY_HTTP_BASIC_LOCKGATE_PASSWORD", place.key),
        )
    notes = (f"A poetry.lock {_REWRITTEN}",)
    return ClientConfig("poetry", (ConfigFile("pyproject.toml", text),), environment, notes)


def pdm_config(place: Place) -> ClientConfig:
    """Return what pdm takes for the index of every project; a project's own sources come before it."""
    text = lines_of(
        "check_update = false",
        "",
        "[pypi]",
        f'url = "{place.url}/simple/"',
        None if place.secure else "verify_ssl = false",
        f'ca_certs = "{place.authority}"' if place.authority else None,
        f'client_cert = "{place.certificate}"' if place.certificate else None,
        f'client_key = "{place.certificate}"' if place.certificate else None,
        f'username = "{USER}"' if place.key else None,
        f'password = "{place.key}"' if place.key else None,
    )
    notes = (f"A pdm.lock {_REWRITTEN}",)
    return ClientConfig("pdm", (ConfigFile("~/.config/pdm/config.toml", text),), notes=notes)
