"""The verifier of the offline kit: what it lets pass, and everything that it refuses by name."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts" / "kit"
sys.path.insert(0, str(SCRIPTS))

from kit_signing import KitKey  # noqa: E402
from make_kit import requirements, sign  # noqa: E402

PROGRAMS = ("openssl", "gpgv")
MEMBERS = (
    "verify.sh",
    "install.sh",
    "wheels/one-1.0-py3-none-any.whl",
    "wheels/two-2.0+cpu-py3-none-any.whl",
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, KitKey]:
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for name in ("holder", "stranger"):
        KitKey.make(folder / f"{name}.pem")
        made[name] = KitKey.load(folder / f"{name}.pem")
    return made


@pytest.fixture
def kit(tmp_path: Path, keys: dict[str, KitKey]) -> Path:
    folder = tmp_path / "a kit"
    (folder / "wheels").mkdir(parents=True)
    for name in MEMBERS[:2]:
        shutil.copyfile(SCRIPTS / name, folder / name)
    for name in MEMBERS[2:]:
        (folder / name).write_bytes(name.encode() * 40)
    sign(folder, keys["holder"])
    return folder


def verify(kit: Path, key: bytes | str, *options: str, path: str | None = None) -> tuple[int, str]:
    told = key if isinstance(key, str) else key.hex()
    environment = {**os.environ, **({"PATH": path} if path else {})}
    shell = shutil.which("sh") or "sh"
    ran = subprocess.run(
        [shell, kit / "verify.sh", "--key", told, *options],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    return ran.returncode, ran.stdout + ran.stderr


def without(tmp_path: Path, *hidden: str) -> str:
    """Return a PATH with the programs that the verifier uses, except the named ones."""
    folder = tmp_path / "programs"
    folder.mkdir()
    needed = ["sh", "dirname", "mktemp", "rm", "find", "head", "tail", "tr", "wc", "od", "cat", "cut"]
    needed += ["sort", "uniq", "comm", "sed", "grep", "sha256sum", "sha512sum"]
    for name in [*needed, *(p for p in PROGRAMS if p not in hidden)]:
        (folder / name).symlink_to(shutil.which(name) or name)
    return str(folder)


@pytest.mark.parametrize("chosen", [("--with", "openssl"), ("--with", "gpgv"), ()])
def test_an_untouched_kit_passes(kit: Path, keys: dict[str, KitKey], chosen: tuple[str, ...]) -> None:
    status, said = verify(kit, keys["holder"].public, *chosen)
    assert status == 0, said
    assert f"Verified: {len(MEMBERS) + 1} files" in said
    for name in PROGRAMS:
        assert (name in said) == (name in (chosen or PROGRAMS))


def test_the_key_may_be_typed_in_groups_and_capitals(kit: Path, keys: dict[str, KitKey]) -> None:
    digits = keys["holder"].public.hex().upper()
    grouped = " ".join(digits[i : i + 8] for i in range(0, 64, 8))
    assert verify(kit, grouped)[0] == 0
    assert verify(kit, digits[:-1])[0] == 2
    assert verify(kit, digits[:-1] + "x")[0] == 2


@pytest.mark.parametrize("hidden", PROGRAMS)
def test_one_of_the_two_programs_is_enough_and_it_says_which_was_not(
    kit: Path, keys: dict[str, KitKey], tmp_path: Path, hidden: str
) -> None:
    status, said = verify(kit, keys["holder"].public, path=without(tmp_path, hidden))
    assert status == 0, said
    assert "Not checked:" in said
    assert verify(kit, keys["stranger"].public, path=str(tmp_path / "programs"))[0] == 1


def test_without_either_program_nothing_passes(kit: Path, keys: dict[str, KitKey], tmp_path: Path) -> None:
    status, said = verify(kit, keys["holder"].public, path=without(tmp_path, *PROGRAMS))
    assert status == 1
    assert "no signature could be checked" in said


@pytest.mark.parametrize("name", [*MEMBERS, "kit-key.cert", "SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.pgp"])
@pytest.mark.parametrize("place", [0, 0.31, 0.5, 0.77, 1])
def test_a_flipped_bit_is_refused_and_the_file_named(
    kit: Path, keys: dict[str, KitKey], tmp_path: Path, name: str, place: float
) -> None:
    trusted = tmp_path / "verify.sh"
    shutil.copyfile(kit / "verify.sh", trusted)
    data = bytearray((kit / name).read_bytes())
    data[round(place * (len(data) - 1))] ^= 0x01
    (kit / name).write_bytes(data)
    if name == "verify.sh":  # the altered one vouches for nothing: its hash is compared with the paper
        done = subprocess.run(
            ["sha256sum", "--check", "--quiet", "SHA256SUMS"],
            cwd=kit,
            capture_output=True,
            text=True,
            check=False,
        )
        status, said = done.returncode, done.stdout
    else:
        status, said = verify(kit, keys["holder"].public)
    assert status == 1
    assert name in said


@pytest.mark.parametrize(
    "name", [*MEMBERS[1:], "kit-key.cert", "SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.pgp"]
)
def test_a_missing_file_is_refused_and_named(kit: Path, keys: dict[str, KitKey], name: str) -> None:
    (kit / name).unlink()
    status, said = verify(kit, keys["holder"].public)
    assert status == 1
    assert "missing" in said
    assert name in said


EXTRAS: dict[str, Callable[[Path], object]] = {
    "wheels/three-3.0-py3-none-any.whl": lambda p: p.write_bytes(b"x"),
    ".hidden": lambda p: p.write_bytes(b"x"),
    "deep/er/file": lambda p: (p.parent.mkdir(parents=True), p.write_bytes(b"x")),
    "SHA256SUMS2": lambda p: p.write_bytes(b"x"),
    "a b": lambda p: p.write_bytes(b"x"),
    "sitecustomize.py": lambda p: p.symlink_to("install.sh"),
    "packages": lambda p: p.symlink_to("wheels", target_is_directory=True),
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("name", EXTRAS)
def test_an_extra_file_is_refused_and_named(kit: Path, keys: dict[str, KitKey], name: str) -> None:
    EXTRAS[name](kit / name)
    status, said = verify(kit, keys["holder"].public)
    assert status == 1
    assert name in said


def test_a_name_with_a_line_break_cannot_pose_as_two(kit: Path, keys: dict[str, KitKey]) -> None:
    (kit / "install.sh\nverify.sh").write_bytes(b"x")
    status, said = verify(kit, keys["holder"].public)
    assert status == 1
    assert "has a name that no kit has" in said


def test_a_file_replaced_by_a_link_to_the_same_bytes_is_refused(
    kit: Path, keys: dict[str, KitKey], tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    shutil.move(kit / MEMBERS[2], outside)
    (kit / MEMBERS[2]).symlink_to(outside)
    status, said = verify(kit, keys["holder"].public)
    assert status == 1
    assert MEMBERS[2] in said


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_kit_that_a_stranger_signed_anew_is_refused(
    kit: Path, keys: dict[str, KitKey], program: str
) -> None:
    (kit / MEMBERS[2]).write_bytes(b"the stranger's")
    sign(kit, keys["stranger"])
    assert verify(kit, keys["stranger"].public, "--with", program)[0] == 0
    status, said = verify(kit, keys["holder"].public, "--with", program)
    assert status == 1
    assert "not signed by this key" in said


def test_no_second_key_enters_by_the_certificate(kit: Path, keys: dict[str, KitKey]) -> None:
    holder = keys["holder"].certificate()
    stranger = keys["stranger"]
    smuggled = holder + bytes((0xC6, len(stranger._body))) + stranger._body
    (kit / MEMBERS[2]).write_bytes(b"the stranger's")
    sign(kit, stranger)
    (kit / "kit-key.cert").write_bytes(smuggled)
    status, said = verify(kit, keys["holder"].public, "--with", "gpgv")
    assert status == 1
    assert "kit-key.cert" in said


def test_signed_lists_that_lead_outside_or_name_twice_are_refused(kit: Path, keys: dict[str, KitKey]) -> None:
    honest = (kit / "SHA256SUMS").read_bytes()
    first = honest.splitlines(keepends=True)[0]
    for sums, word in (
        (honest + first, "twice"),
        (honest + b"0" * 64 + b"  ../outside\n", "no hash and name"),
        (honest + b"0" * 64 + b" *wheels\n", "no hash and name"),
    ):
        signed = keys["holder"].sign(sums)
        (kit / "SHA256SUMS").write_bytes(sums)
        (kit / "SHA256SUMS.sig").write_bytes(signed.raw)
        (kit / "SHA256SUMS.pgp").write_bytes(signed.openpgp)
        status, said = verify(kit, keys["holder"].public)
        assert status == 1
        assert word in said


def test_the_installer_leaves_nothing_of_a_refused_kit(
    kit: Path, keys: dict[str, KitKey], tmp_path: Path
) -> None:
    (kit / MEMBERS[2]).write_bytes(b"altered")
    prefix = tmp_path / "prefix"
    ran = subprocess.run(
        ["sh", kit / "install.sh", "--key", keys["holder"].public.hex(), "--prefix", prefix],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert MEMBERS[2] in ran.stderr
    assert not prefix.exists()


def test_requirements_name_exactly_the_wheels(kit: Path) -> None:
    lines = requirements(kit / "wheels").splitlines()
    assert [line.split(" --hash=sha256:")[0] for line in lines] == ["one==1.0", "two==2.0+cpu"]


@pytest.mark.slow
def test_every_byte_of_the_signatures_counts(kit: Path, keys: dict[str, KitKey]) -> None:
    assert verify(kit, keys["holder"].public)[0] == 0
    for name in ("SHA256SUMS.sig", "SHA256SUMS.pgp", "kit-key.cert"):
        honest = (kit / name).read_bytes()
        for place in range(len(honest)):
            altered = bytearray(honest)
            altered[place] ^= 1 << (place % 8)
            (kit / name).write_bytes(altered)
            assert verify(kit, keys["holder"].public)[0] == 1, (name, place)
        (kit / name).write_bytes(honest)


def test_the_same_key_signs_the_same_bytes(keys: dict[str, KitKey]) -> None:
    assert keys["holder"].sign(b"sums") == keys["holder"].sign(b"sums")
    assert keys["holder"].certificate() == keys["holder"].certificate()
    assert len({keys["holder"].sign(str(n).encode()).openpgp for n in range(64)}) == 64
