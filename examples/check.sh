#!/bin/sh
# Types every command of the README, the docs and the examples, and compares what comes out: check.sh [KAPSULE].
# With KAPSULE_RECORD=1 it writes what was printed into the files instead; review the difference.
set -eu
cd "$(dirname "$0")/.."
exec python3 Scripts/check-docs.py "${1:-.build/release/kapsule}" README.md CONTRIBUTING.md docs/*.md examples/*/README.md
