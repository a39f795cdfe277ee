#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

int kapsule_open(const char *path, int flags, unsigned mode) {
    int descriptor;
    do {
        descriptor = open(path, flags, mode);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor < 0 ? -errno : descriptor;
}

int kapsule_o_tmpfile(void) { return O_TMPFILE; }
int kapsule_o_path(void) { return O_PATH; }
int kapsule_o_direct(void) { return O_DIRECT; }

/* Before Linux 5.6, and where seccomp hides openat2: one O_NOFOLLOW open a component. */
static int open_step_by_step(int directory, const char *path, int flags, unsigned mode) {
    char part[256];
    int current = dup(directory);
    if (current < 0) return -errno;
    for (;;) {
        const char *slash = strchr(path, '/');
        size_t length = slash ? (size_t)(slash - path) : strlen(path);
        int result = -ENAMETOOLONG;
        if (length < sizeof part) {
            memcpy(part, path, length);
            part[length] = 0;
            if (length == 0 || strcmp(part, "..") == 0) {
                result = -EXDEV;
            } else {
                int next = openat(current, part, slash ? O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
                                                       : flags | O_NOFOLLOW, mode);
                result = next < 0 ? -errno : next;
            }
        }
        close(current);
        if (result < 0 || !slash) return result;
        current = result;
        path = slash + 1;
    }
}

int kapsule_open_beneath(int directory, const char *path, int flags, unsigned mode) {
    struct open_how how = {
        .flags = (unsigned)flags,
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long descriptor;
    do {
        descriptor = syscall(SYS_openat2, directory, path, &how, sizeof how);
    } while (descriptor < 0 && (errno == EINTR || errno == EAGAIN));
    if (descriptor >= 0) return (int)descriptor;
    if (errno == ENOSYS || errno == EPERM) return open_step_by_step(directory, path, flags, mode);
    return -errno;
}

int kapsule_clone_range(int from, uint64_t from_offset, uint64_t length, int to, uint64_t to_offset) {
    struct file_clone_range range = {
        .src_fd = from, .src_offset = from_offset, .src_length = length, .dest_offset = to_offset};
    return ioctl(to, FICLONERANGE, &range) < 0 ? -errno : 0;
}

ssize_t kapsule_copy_file_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t length) {
    off64_t in = from_offset, out = to_offset;
    ssize_t count;
    do {
        count = copy_file_range(from, &in, to, &out, length, 0);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

int64_t kapsule_seek_data(int descriptor, int64_t offset) {
    off_t at = lseek(descriptor, offset, SEEK_DATA);
    return at < 0 ? -errno : at;
}

int64_t kapsule_seek_hole(int descriptor, int64_t offset) {
    off_t at = lseek(descriptor, offset, SEEK_HOLE);
    return at < 0 ? -errno : at;
}

int kapsule_allocate(int descriptor, int extend, int64_t offset, int64_t length) {
    int result;
    do {
        result = fallocate(descriptor, extend ? 0 : FALLOC_FL_KEEP_SIZE, offset, length);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

int kapsule_link_descriptor(int descriptor, int directory, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int kapsule_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to) {
    return renameat2(from_directory, from, to_directory, to, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

int64_t kapsule_free_bytes(const char *path) {
    struct statvfs info;
    if (statvfs(path, &info) < 0) return -errno;
    unsigned __int128 bytes = (unsigned __int128)info.f_bavail * info.f_frsize;
    return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

int kapsule_terminal_size(int descriptor) {
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) < 0) return -errno;
    return (size.ws_col & 0x7FFF) << 16 | size.ws_row;
}

int kapsule_status(int directory, const char *path, int follow, struct kapsule_status *status) {
    struct stat info;
    int flags = (follow ? 0 : AT_SYMLINK_NOFOLLOW) | (*path ? 0 : AT_EMPTY_PATH);
    if (fstatat(directory, path, &info, flags) < 0) return -errno;
    status->device = info.st_dev;
    status->inode = info.st_ino;
    status->links = info.st_nlink;
    status->size = info.st_size;
    status->blocks = info.st_blocks;
    status->mode = info.st_mode;
    status->owner = info.st_uid;
    status->modified_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    status->changed_ns = (int64_t)info.st_ctim.tv_sec * 1000000000 + info.st_ctim.tv_nsec;
    return 0;
}
