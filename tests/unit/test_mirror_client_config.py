"""Ready configuration: every client's names this mirror, and only this mirror."""

import configparser
import json
import re
import tomllib

import pytest

from corpora.commands import Commands
from lockgate.mirror import (
    AptSource,
    AptSuites,
    DnfRepositories,
    DnfSource,
    NothingForClientError,
    client_config,
    clients,
)

HERE = "http://mirror.example:8710"
SAFE = "https://mirror.example"
SUITES = AptSuites(
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc=\n-----END PGP PUBLIC KEY BLOCK-----\n",
    "AB12",
    (
        AptSource("debian", ("bookworm",), ("main", "contrib"), sources=True),
        AptSource("cuda", ("jammy",), ("main",)),
    ),
)

REPOSITORIES = DnfRepositories(
    SUITES.certificate,
    "AB12",
    (DnfSource("rocky", "baseos", "vendor's keys\n"), DnfSource("rocky", "appstream", "vendor's keys\n")),
)


def made_for(client, url, **facts):
    """Return a client's configuration; each is told what is served."""
    return client_config(client, url, SUITES, dnf=REPOSITORIES, **facts)


@pytest.mark.parametrize("url", [HERE, SAFE])
@pytest.mark.parametrize("client", clients())
def test_no_other_address_stands_in_any_of_them(client, url):
    found = made_for(client, f"{url}/")
    texts = [file.text for file in found.files] + [value for _, value in found.environment]
    texts += found.notes
    assert texts
    texts = [text.replace("insteadOf = https://\n", "").replace("https://HOST", "") for text in texts]
    addresses = [address for text in texts for address in re.findall(r"https?://[^\s\"',/]+", text)]
    assert set(addresses) <= {url}
    assert ("--insecure" in "".join(found.notes)) == (client == "ollama" and url == HERE)
    assert any("mirror.example" in text for text in texts)


def test_the_forms_are_those_of_the_clients():
    pip = configparser.ConfigParser()
    pip.read_string(client_config("pip", HERE).files[0].text)
    assert pip["global"]["index-url"] == f"{HERE}/simple/"
    assert pip["global"]["trusted-host"] == "mirror.example"
    assert "trusted-host" not in client_config("pip", SAFE).files[0].text
    uv = tomllib.loads(client_config("uv", HERE).files[0].text)
    assert uv["index"] == [{"name": "lockgate", "url": f"{HERE}/simple/", "default": True}]
    poetry = tomllib.loads(client_config("poetry", HERE).files[0].text)["tool"]["poetry"]
    assert poetry["source"] == [{"name": "lockgate", "url": f"{HERE}/simple/", "priority": "primary"}]
    pdm = tomllib.loads(client_config("pdm", HERE).files[0].text)
    assert pdm == {"check_update": False, "pypi": {"url": f"{HERE}/simple/", "verify_ssl": False}}
    assert tomllib.loads(client_config("pdm", SAFE).files[0].text)["pypi"] == {"url": f"{SAFE}/simple/"}
    docker = json.loads(client_config("docker", HERE).files[0].text)
    assert docker == {"insecure-registries": ["mirror.example:8710"], "registry-mirrors": [HERE]}
    assert json.loads(client_config("docker", SAFE).files[0].text) == {"registry-mirrors": [SAFE]}
    podman = tomllib.loads(client_config("podman", SAFE).files[0].text)
    assert podman["registry"] == [{"location": "mirror.example", "insecure": False}]
    hosts = tomllib.loads(client_config("containerd", HERE).files[0].text)
    assert hosts["host"][HERE]["capabilities"] == ["pull", "resolve"]
    assert dict(client_config("huggingface", HERE).environment)["HF_ENDPOINT"] == HERE


def test_apt_is_told_its_suites_and_the_lanes_key_in_deb822():
    text = client_config("apt", HERE, SUITES).files[0].text
    first, second = text.split("\n\n")
    assert first.splitlines()[:4] == [
        "Types: deb deb-src",
        f"URIs: {HERE}/apt/debian",
        "Suites: bookworm",
        "Components: main contrib",
    ]
    assert "\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n" in first
    assert second.startswith(f"Types: deb\nURIs: {HERE}/apt/cuda\n")
    assert any("AB12" in note for note in client_config("apt", HERE, SUITES).notes)
    with pytest.raises(NothingForClientError):
        client_config("apt", HERE)


def test_dnf_checks_index_and_packages_with_keys_that_lie_in_files():
    found = client_config("dnf", SAFE, dnf=REPOSITORIES, authority="/etc/ca.pem")
    repo = configparser.ConfigParser(interpolation=None)
    repo.read_string(found.files[0].text)
    assert repo.sections() == ["lockgate-rocky-baseos", "lockgate-rocky-appstream"]
    first = repo["lockgate-rocky-baseos"]
    assert first["baseurl"] == f"{SAFE}/rpm/rocky/baseos/$basearch/"
    assert (first["gpgcheck"], first["repo_gpgcheck"], first["sslcacert"]) == ("1", "1", "/etc/ca.pem")
    files = {f"file://{file.path}": file.text for file in found.files[1:]}
    assert [files[key] for key in first["gpgkey"].split()] == ["vendor's keys\n", SUITES.certificate]
    with pytest.raises(NothingForClientError):
        client_config("dnf", HERE)


def test_the_command_prints_what_a_person_copies(tmp_path):
    run = Commands().run
    shown = run("client-config", "npm", "--url", HERE)
    assert f"# ~/.npmrc\nregistry={HERE}/npm/\n" in shown.out
    value = json.loads(run("client-config", "npm", "--url", HERE, "--json").out)
    assert value["files"][0]["path"] == "~/.npmrc"
    assert Commands().refused("client-config", "telnet", "--url", HERE)[1]["code"] == "LG-1922"


def test_the_address_comes_from_the_high_sides_settings(tmp_path):
    lockgate = Commands().json
    lockgate("lane", "init", tmp_path / "lane", "--name", "plant")
    high = tmp_path / "lane/high"
    assert (
        "http://127.0.0.1:8710/npm/" in lockgate("client-config", "npm", "--home", high)["files"][0]["text"]
    )
    settings = high / "lockgate.toml"
    text = settings.read_text()
    with_address = (
        text.replace("[serve]\n", f'[serve]\nmirror_url = "{SAFE}"\n')
        if "[serve]" in text
        else f'{text}\n[serve]\nmirror_url = "{SAFE}"\n'
    )
    settings.write_text(with_address)
    assert f"{SAFE}/npm/" in lockgate("client-config", "npm", "--home", high)["files"][0]["text"]


def test_the_internal_authority_is_named_where_a_client_looks_for_it():
    ca = "/etc/ssl/plant-ca.pem"
    for client in clients():
        found = made_for(client, SAFE, authority=ca)
        told = [file.text for file in found.files] + [value for _, value in found.environment]
        told += found.notes
        assert (ca in "".join(told)) == (client != "ollama"), "ollama trusts what its host trusts"
        assert ca not in str(made_for(client, HERE, authority=ca)), "plain HTTP needs no authority"
        assert ca not in str(made_for(client, SAFE))
    pip = configparser.ConfigParser()
    pip.read_string(client_config("pip", SAFE, authority=ca).files[0].text)
    assert pip["global"]["cert"] == ca
    hosts = tomllib.loads(client_config("containerd", SAFE, authority=ca).files[0].text)
    assert hosts["host"][SAFE]["ca"] == ca


def test_the_clients_own_certificate_is_named_where_it_can_show_one():
    own = "/etc/ssl/private/this-host.pem"
    for client in clients():
        found = made_for(client, SAFE, certificate=own)
        told = [file.text for file in found.files] + [value for _, value in found.environment]
        named = own in "".join([*told, *found.notes])
        assert named == (client not in {"ollama", "huggingface"})
        assert named != any("certificate" in note for note in found.notes) or client in {
            "yarn",
            "docker",
            "podman",
        }
        assert own not in str(made_for(client, HERE, certificate=own)), "plain HTTP shows none"
        assert own not in str(made_for(client, SAFE))


def test_yarn_1_proves_itself_for_names_without_a_scope_too():
    files = {file.path: file.text for file in client_config("yarn", HERE, key="secret").files}
    assert "/npm/:always-auth=true" in files["~/.npmrc"]
    assert "~/.npmrc" not in {file.path for file in client_config("yarn", HERE).files}


def test_poetry_and_pdm_prove_who_asks_and_whom_they_believe():
    facts = {"authority": "/etc/ca.pem", "key": "lgk-secret", "certificate": "/etc/me.pem"}
    assert dict(client_config("poetry", SAFE, **facts).environment) == {
        "POETRY_CERTIFICATES_LOCKGATE_CERT": "/etc/ca.pem",
        "POETRY_CERTIFICATES_LOCKGATE_CLIENT_CERT": "/etc/me.pem",
        "POETRY_HTTP_BASIC_LOCKGATE_USERNAME": "__token__",
        "POETRY_HTTP_BASIC_LOCKGATE_PASSWORD": "lgk-secret",
    }
    assert tomllib.loads(client_config("pdm", SAFE, **facts).files[0].text)["pypi"] == {
        "url": f"{SAFE}/simple/",
        "ca_certs": "/etc/ca.pem",
        "client_cert": "/etc/me.pem",
        "client_key": "/etc/me.pem",
        "username": "__token__",
        "password": "lgk-secret",
    }
