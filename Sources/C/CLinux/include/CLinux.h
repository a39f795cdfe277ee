/* What Linux has and Swift's Glibc overlay hides: behind _GNU_SOURCE, behind an _IOW macro, or variadic. */
#ifndef KAPSULE_CLINUX_H
#define KAPSULE_CLINUX_H

#include <stdint.h>
#include <sys/types.h>

/* open(2) with mode; returns a descriptor or -errno. */
int kapsule_open(const char *path, int flags, unsigned mode);
/* Flags that are not visible from Swift. */
int kapsule_o_tmpfile(void);
int kapsule_o_path(void);
int kapsule_o_direct(void);

/* Opens `path` below `directory`, following no symbolic link and never leaving the directory (openat2(2), or step by
   step before Linux 5.6). Returns a descriptor or -errno. */
int kapsule_open_beneath(int directory, const char *path, int flags, unsigned mode);

/* ioctl(FICLONERANGE): 0 or -errno. A length of 0 means to the end of the source. */
int kapsule_clone_range(int from, uint64_t from_offset, uint64_t length, int to, uint64_t to_offset);
/* copy_file_range(2): bytes copied, or -errno. */
ssize_t kapsule_copy_file_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t length);
/* lseek(2) with SEEK_DATA or SEEK_HOLE: an offset, or -errno. */
int64_t kapsule_seek_data(int descriptor, int64_t offset);
int64_t kapsule_seek_hole(int descriptor, int64_t offset);
/* fallocate(2), keeping the size unless `extend`: 0 or -errno. */
int kapsule_allocate(int descriptor, int extend, int64_t offset, int64_t length);
/* Gives an unnamed file (O_TMPFILE) a name: 0 or -errno. */
int kapsule_link_descriptor(int descriptor, int directory, const char *name);
/* renameat2(2) with RENAME_NOREPLACE: 0 or -errno. */
int kapsule_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to);
/* Bytes that an unprivileged process may still write below `path`, or -errno. */
int64_t kapsule_free_bytes(const char *path);

/* ioctl(TIOCGWINSZ): columns << 16 | rows of the terminal behind `descriptor`, or -errno. */
int kapsule_terminal_size(int descriptor);

/* The `st_*tim` and numbers of a file, without the overlay's renamed fields. */
struct kapsule_status {
    uint64_t device, inode, links;
    int64_t size, blocks;
    uint32_t mode, owner;
    int64_t modified_ns, changed_ns;
};
/* lstat(2) / stat(2) below `directory` (AT_FDCWD allowed), or of the descriptor when `path` is empty: 0 or -errno. */
int kapsule_status(int directory, const char *path, int follow, struct kapsule_status *status);

#endif
