#!/bin/bash
# Lets a real Linux kernel take an image, or refuse it: a throw-away guest runs the commands that `kapsule mount` would,
# reads every file, and runs the commands of `kapsule umount`. See README.md.
#
#   run.sh prepare                         get the kernel and build the guest's programs, into the cache
#   run.sh mount IMAGE MOUNT UMOUNT [KEY]  IMAGE is the guest's /dev/image. MOUNT and UMOUNT are scripts; they find KEY as
#                                          /job/key, and mount at /run/model
#
# Standard output: a sha256sum listing of every regular file, as read in the mounted file system.
#
# Exit: 0 mounted ro,nodev,nosuid,noexec; every file read; taken down again; the listing came whole
#       1 the image was refused (by the guest's kernel or the tools in it)
#       2 wrong usage
#       3 no verdict: a program is missing, or the guest did not start or finish
set -euo pipefail
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(realpath -m "${KM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kernel-mount}")
engine=${KM_ENGINE:-uml}
timeout_s=${KM_TIMEOUT:-60}
recipe=1            # raise it when what prepare_* puts in the cache changes

note() { echo "kernel-mount: $*" >&2; }
refused() { echo "kernel-mount: REFUSED: $*" >&2; exit 1; }
bad() { echo "kernel-mount: usage: $*" >&2; exit 2; }
broken() { echo "kernel-mount: NO VERDICT: $*" >&2; exit 3; }

# ---------------------------------------------------------------- prepare ---

# need PROGRAM PACKAGE
need() { command -v "$1" >/dev/null || broken "no $1: install the Debian package $2"; }

# fetch_deb PACKAGE DIR: download PACKAGE and unpack it into DIR. It is not installed, so none of its scripts run.
fetch_deb() {
    local debs=$2.debs
    mkdir -p "$debs"
    (cd "$debs" && apt-get download -q -q -o APT::Sandbox::User=root "$1" >&2) ||
        broken "apt-get download $1 (is apt-get update due?)"
    dpkg-deb -x "$debs"/*.deb "$2" || broken "cannot unpack $1"
    rm -rf "$debs"
}

# visit DIR MODULE: the files of MODULE and of all it needs, needs first. A name without a file is built into the kernel.
# Uses and fills $visited.
visit() {
    local dir=$1 name=${2//_/-} file dep
    case $visited in *" $name "*) return 0 ;; esac
    visited="$visited$name "
    file=$(find "$dir" -regextype posix-extended \
        -regex ".*/(${name}|${name//-/_})\.ko(\.xz|\.zst)?" -print -quit)
    [ -n "$file" ] || return 0
    for dep in $(modinfo -F depends "$file" | tr , ' ') \
               $(modinfo -F softdep "$file" | sed -n 's/ post:.*//; s/^.*pre: *//p'); do
        visit "$dir" "$dep"
    done
    echo "$file"
}

# modules_cpio MODULESDIR OUT MODULE...: an archive of the modules and a list of them in the order in which they load.
modules_cpio() {
    local dir=$1 out=$2 root=$2.root module name visited=' '
    shift 2
    mkdir -p "$root/modules"
    for name in "$@"; do visit "$dir" "$name"; done >"$root/list"
    while read -r module; do
        name=$(basename "$module")
        case $name in
        *.xz) name=${name%.xz}; xz -dc "$module" >"$root/modules/$name" ;;
        *.zst) name=${name%.zst}; zstd -dcq "$module" >"$root/modules/$name" ;;
        *) cp "$module" "$root/modules/$name" ;;
        esac
        echo "$name" >>"$root/modules/order"
    done <"$root/list"
    rm "$root/list"
    pack "$root" "$out"
    rm -rf "$root"
}

# pack DIR FILE: DIR as an archive that the kernel takes as an initramfs.
pack() {
    (cd "$1" && find . -mindepth 1 | sort | cpio --quiet --reproducible -R 0:0 -o -H newc) >"$2"
}

# shell, cryptsetup, veritysetup, their libraries, and guest-init.sh: built anew when any of its sources changes.
prepare_userland() {
    local key tmp program lib
    need busybox busybox-static; need cpio cpio; need modinfo kmod
    need veritysetup cryptsetup-bin; need cryptsetup cryptsetup-bin
    key=$(cat "$here/guest-init.sh" "$(command -v busybox)" "$(command -v veritysetup)" \
        "$(command -v cryptsetup)" | sha256sum | cut -c1-16)
    userland=$cache/userland-$recipe-$key.cpio
    [ -s "$userland" ] && return
    tmp=$(mktemp -d "$cache/build.XXXXXX")
    mkdir -p "$tmp"/root/{bin,dev,proc,sys,run,job,modules}
    install -m 755 "$here/guest-init.sh" "$tmp/root/init"
    cp -L "$(command -v busybox)" "$tmp/root/bin/busybox"
    for program in sh mount umount mkdir cat cut tr head grep sed sort find xargs sha256sum wc \
        stty dmesg insmod usleep sleep sync poweroff reboot ln losetup uname; do
        ln -s busybox "$tmp/root/bin/$program"
    done
    for program in veritysetup cryptsetup; do
        cp -L "$(command -v $program)" "$tmp/root/bin/$program"
        for lib in $(ldd "$(command -v $program)" | grep -o '/[^ ]*'); do
            [ -e "$tmp/root$lib" ] || install -D "$lib" "$tmp/root$lib"
        done
    done
    pack "$tmp/root" "$tmp/cpio"
    rm -f "$cache"/userland-*.cpio
    mv "$tmp/cpio" "$userland"
    rm -rf "$tmp"
    note "built the guest's programs"
}

# Debian's kernel for virtual machines: much smaller than the usual package, and has all that is wanted here.
prepare_qemu() {
    local package tmp version
    need qemu-system-x86_64 qemu-system-x86
    kernel=$cache/qemu-$recipe
    [ -d "$kernel" ] && return
    package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
    [ -n "$package" ] || broken "apt knows no linux-image-cloud-amd64 (is apt-get update due?)"
    tmp=$(mktemp -d "$cache/build.XXXXXX")
    fetch_deb "$package" "$tmp/deb"
    version=$(basename "$tmp"/deb/lib/modules/*)
    mkdir "$tmp/out"
    modules_cpio "$tmp/deb/lib/modules/$version" "$tmp/out/modules.cpio" \
        virtio_pci virtio_blk dm-verity dm-crypt xts erofs
    cp "$tmp/deb/boot/vmlinuz-$version" "$tmp/out/vmlinuz"
    mv "$tmp/out" "$kernel"
    rm -rf "$tmp"
    note "$package ready"
}

# User Mode Linux: a Linux kernel as an ordinary program. cbc is for encrypted-keys, which dm-crypt needs there.
prepare_uml() {
    local tmp version
    kernel=$cache/uml-$recipe
    [ -d "$kernel" ] && return
    tmp=$(mktemp -d "$cache/build.XXXXXX")
    fetch_deb user-mode-linux "$tmp/deb"
    version=$(basename "$tmp"/deb/usr/lib/uml/modules/*)
    mkdir "$tmp/out"
    modules_cpio "$tmp/deb/usr/lib/uml/modules/$version" "$tmp/out/modules.cpio" \
        cbc dm-verity dm-crypt xts erofs
    cp "$tmp/deb/usr/bin/linux.uml" "$tmp/out/linux"
    if command -v cc >/dev/null; then
        cc -O2 -shared -fPIC -o "$tmp/out/xstate.so" "$here/uml-xstate.c" ||
            broken "cannot compile uml-xstate.c"
    else
        note "no C compiler: User Mode Linux will not start on CPUs with AMX"
    fi
    mv "$tmp/out" "$kernel"
    rm -rf "$tmp"
    note "User Mode Linux $version ready"
}

# One prepares, the others wait.
prepare() {
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9 || broken "cannot lock the cache"
    prepare_userland
    "prepare_$engine"
    exec 9>&-
}

# ------------------------------------------------------------------ guest ---

make_initrd() {
    mkdir -p "$work/root/job"
    echo "NONCE=$nonce DISK=$disk" >"$work/root/job/job.env"
    cat "$mount_script" >"$work/root/job/mount.sh"
    cat "$umount_script" >"$work/root/job/umount.sh"
    [ -z "$key" ] || cat "$key" >"$work/root/job/key"
    pack "$work/root" "$work/job.cpio"
    cat "$userland" "$kernel/modules.cpio" "$work/job.cpio" >"$work/initrd"
    rm -rf "$work/root" "$work/job.cpio"
}

common_append="quiet panic=-1 rcupdate.rcu_expedited=1"

start_uml() {
    local mem=$work preload=''
    # Its memory is a file that it maps executable: quickest in /dev/shm.
    if [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 400000 ] 2>/dev/null &&
       ! grep -qE '^[^ ]+ /dev/shm [^ ]+ [^ ]*noexec' /proc/mounts; then mem=/dev/shm; fi
    [ ! -e "$kernel/xstate.so" ] || preload=$kernel/xstate.so
    # shellcheck disable=SC2086
    LD_PRELOAD=$preload TMPDIR=$mem HOME=$work exec timeout -k 5 "$timeout_s" \
        "$kernel/linux" mem=256M "ubd0r=$work/disk" "initrd=$work/initrd" \
        con=null con0=null,fd:1 ssl=null umid=km "uml_dir=$work/" \
        $common_append >"$work/console" 2>"$work/engine.out" </dev/null
}

# Few CPU features make emulation quicker, rdrand spares the wait for randomness, no KASLR spares the kernel's move.
start_qemu() {
    # shellcheck disable=SC2086
    exec timeout -k 5 "$timeout_s" qemu-system-x86_64 -M q35,accel=tcg \
        -cpu qemu64,+ssse3,+sse4.1,+sse4.2,+rdrand \
        -m 384 -smp 1 -nodefaults -no-user-config -display none -no-reboot \
        -kernel "$kernel/vmlinuz" -initrd "$work/initrd" \
        -append "console=ttyS0 $common_append nokaslr mitigations=off tsc=reliable no_timer_check random.trust_cpu=on cryptomgr.notests" \
        -chardev "file,id=con,path=$work/console" -serial chardev:con \
        -drive "if=none,id=disk,format=raw,readonly=on,file=$work/disk" \
        -device virtio-blk-pci,drive=disk </dev/null >"$work/engine.out" 2>&1
}

# words TAG: what the guest said under that tag.
words() { sed -n "s/^.*KM-$nonce $1 //p" "$work/console" | tr -d '\r'; }

# listing: the lines of it, if it came whole (by its hash).
listing() {
    local first last want
    first=$(grep -an -m1 "KM-$nonce BEGIN sums\$" "$work/console" | cut -d: -f1)
    last=$(grep -an -m1 "^KM-$nonce END sums sha256=" "$work/console" | cut -d: -f1)
    [ -n "$first" ] && [ -n "$last" ] || return 1
    sed -n "$((first + 1)),${last}{${last}d;p}" "$work/console" >"$work/block"
    want=$(sed -n "${last}s/.* sha256=\([0-9a-f]*\).*/\1/p" "$work/console")
    [ "$(sha256sum <"$work/block" | cut -d' ' -f1)" = "$want" ] && cat "$work/block"
}

guest() {
    local from to rc=0
    nonce=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
    ln -s "$(realpath "$image")" "$work/disk"
    make_initrd
    : >"$work/console"
    from=$(date +%s%N)
    "start_$engine" &           # ends in exec: $! is the guest's keeper
    guest_pid=$!
    wait "$guest_pid" 2>/dev/null || rc=$?
    guest_pid=''
    to=$(date +%s%N)
    result=$(words RESULT | tail -n 1)
    [ -n "$result" ] || result="none: exit $rc$([ $rc != 124 ] || echo ", time-out after $timeout_s s")"
    note "$engine, kernel $(words KERNEL), $(((to - from) / 1000000)) ms"
    words NOTE | sed 's/^/  /' >&2
    sed -n "/KM-$nonce BEGIN klog/,/KM-$nonce END klog/p" "$work/console" |
        grep -av "KM-$nonce" | sed 's/^/  kernel: /' >&2 || true
    words SAID | sed 's/^/  tools: /' >&2
    case $result in
    ok) listing >"$work/sums" || broken "the listing did not come whole" ;;
    'refused '*)
        listing || true         # what could be read, where it got so far
        refused "in the guest, ${result#refused }" ;;
    *)
        tail -n 15 "$work/console" >&2
        cat "$work/engine.out" >&2 || true
        broken "the guest's result: $result" ;;
    esac
    cat "$work/sums"
}

# ------------------------------------------------------------------- main ---

case $engine in qemu) disk=vda ;; uml) disk=ubda ;; *) bad "KM_ENGINE is uml or qemu" ;; esac
case "${1:-}:$#" in
prepare:1) prepare; exit 0 ;;
mount:4 | mount:5) image=$2 mount_script=$3 umount_script=$4 key=${5:-} ;;
*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
for file in "$image" "$mount_script" "$umount_script" ${key:+"$key"}; do
    [ -r "$file" ] || bad "cannot read $file"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/kernel-mount.XXXXXX")     # 0700: it holds the key
guest_pid=''
clean_up() {
    if [ -n "$guest_pid" ]; then kill "$guest_pid" 2>/dev/null || true; wait "$guest_pid" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 3' HUP INT TERM
prepare
guest
