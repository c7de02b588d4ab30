"""What dnf's own interpreter runs: the packages that a wish needs, by dnf's solver, in a root of its own.

It stands alone: dnf's Python modules belong to the system's interpreter, which knows nothing of Lockgate. It
reads one JSON object from standard input and writes one to standard output. Repositories are folders whose
signatures were verified before; nothing is fetched, no transaction is run, no scriptlet is executed.
"""

import importlib
import json
import sys
from typing import Any

FETCHED = 3
"""Status when dnf's own words say what cannot be met."""


def main() -> int:
    """Solve what standard input asks for."""
    dnf, modules = importlib.import_module("dnf"), importlib.import_module("dnf.module.module_base")
    asked = json.load(sys.stdin)
    with dnf.Base(_configuration(dnf, asked["work"], asked["architecture"], asked["platform"])) as base:
        base.conf.install_weak_deps = asked["weak"]
        for name, folder in asked["repositories"].items():
            base.repos.add_new_repo(name, base.conf, baseurl=[folder], skip_if_unavailable=False)
        try:
            base.fill_sack(load_system_repo=False)
            if asked["modules"]:
                modules.ModuleBase(base).enable(asked["modules"])
            base.install_specs(asked["names"])
            base.resolve()
        except dnf.exceptions.Error as error:
            sys.stderr.write(f"E: {error}\n")
            return FETCHED
        chosen = [(str(each.repoid), each.chksum[1].hex()) for each in base.transaction.install_set]
    json.dump(sorted(chosen), sys.stdout)
    return 0


def _configuration(dnf: Any, work: str, architecture: str, platform: str) -> Any:
    """Return a configuration of which nothing comes from the host."""
    conf = dnf.conf.Conf()
    conf.installroot = f"{work}/root"
    conf.cachedir = f"{work}/cache"
    conf.persistdir = f"{work}/state"
    conf.logdir = f"{work}/log"
    conf.reposdir = conf.varsdir = [f"{work}/none"]
    conf.plugins = False
    conf.best = True
    conf.gpgcheck = conf.repo_gpgcheck = False  # verified before: both by the caller
    conf.arch = architecture
    conf.ignorearch = True
    conf.module_platform_id = platform
    return conf


if __name__ == "__main__":
    sys.exit(main())
