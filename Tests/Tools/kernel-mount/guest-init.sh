#!/bin/busybox sh
# PID 1 of the throw-away guest that run.sh starts.
#
# Runs the script that mounts the attached disk, prints what it could read, runs the script that takes the mount down, and
# switches the machine off. It never writes to the disk.
#
# Everything that run.sh parses starts with "KM-<nonce> ", where the nonce is new for every run, so that no file name on
# the disk can imitate it. If this script dies, the kernel panics, the machine stops without a RESULT line, and run.sh
# reports no verdict rather than a good or a bad image.

set -u
export PATH=/bin HOME=/ LC_ALL=C DM_DISABLE_UDEV=1

mount -t devtmpfs dev /dev 2>/dev/null
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/cryptsetup /run/model
exec </dev/console >/dev/console 2>&1
stty -opost </dev/console 2>/dev/null   # bytes as they are: no CR added
dmesg -n 1                              # no kernel messages between ours

. /job/job.env

say() { echo "KM-$NONCE $*"; }

# What the kernel said about the layers under test.
kernel_log() {
    say "BEGIN klog"
    dmesg | grep -E 'device-mapper|erofs|I/O error|verity|ubda|vda' | head -n 60
    say "END klog"
}

# finish WORDS: the last line, and off.
finish() {
    kernel_log
    say "RESULT $*"
    sync
    poweroff -f
    sleep 30            # not reached unless power-off is broken
    reboot -f
}

# The kernel, or its tools, refused the image at this step.
fail() { finish "refused stage=$1"; }
# This guest is not what it should be; says nothing of the image.
broken() { finish "broken $*"; }

# tool COMMAND...: run it, and pass on what it has to say.
tool() {
    "$@" >/run/said 2>&1
    rc=$?
    sed "s/^/KM-$NONCE SAID /" /run/said
    return $rc
}

say "KERNEL $(uname -r)"
while read -r module; do
    insmod "/modules/$module" || broken "insmod $module"
done </modules/order

n=0
while [ ! -b "/dev/$DISK" ]; do
    n=$((n + 1))
    [ $n -le 100 ] || broken "no /dev/$DISK"
    usleep 50000
done
ln -s "$DISK" /dev/image

tool sh -e /job/mount.sh || fail mount
line=$(grep ' /run/model erofs ' /proc/mounts) || broken "nothing is mounted"
device=$(echo "$line" | cut -d' ' -f1)
options=$(echo "$line" | cut -d' ' -f4)
say "NOTE $device, mounted $options"
for option in ro nodev nosuid noexec; do
    case ",$options," in *",$option,"*) ;; *) broken "mounted without $option" ;; esac
done

cd /run/model || broken cd
find . -type f -print0 >/run/list || fail read
sort -z /run/list >/run/list.sorted
xargs -0 -r sha256sum </run/list.sorted >/run/sums 2>/run/errors
rc=$?
cd /
head -n 5 /run/errors | sed "s/^/KM-$NONCE SAID /"
say "BEGIN sums"
cat /run/sums
say "END sums sha256=$(sha256sum /run/sums | cut -d' ' -f1)"
[ $rc = 0 ] || fail read

# "verified" turns to "corrupted" when the kernel has met a wrong hash.
veritysetup status "${device##*/}" >/run/status
sed "s/^/KM-$NONCE NOTE /" /run/status
grep -q '^ *status: *verified$' /run/status || fail state

tool sh -e /job/umount.sh || broken "cannot take down"
for left in /dev/mapper/*; do
    [ "$left" = /dev/mapper/control ] || [ ! -e "$left" ] || broken "$left is left"
done
finish ok
