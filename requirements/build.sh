#!/usr/bin/env bash
# Renews the hashed requirement files from pyproject.toml; run it when dependencies change.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade "$@"; }
compile pyproject.toml -o requirements/runtime.txt
compile --group build -o requirements/build.txt
compile pyproject.toml --extra clients -o requirements/demo.txt
compile pyproject.toml --extra clients --extra hsm --extra pictures --group dev -o requirements/dev.txt
