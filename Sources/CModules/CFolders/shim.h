// What the kernel says of folders and libc's module does not: `readdir` costs more calls and 32 KiB a folder.
#ifndef GRAFT_CFOLDERS_SHIM_H
#define GRAFT_CFOLDERS_SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

long syscall(long number, ...);

// Fills `buffer` with records: 8 bytes inode, 8 bytes offset, 2 bytes length of the record, 1 byte kind,
// the name and a zero. Returns the bytes that are filled, 0 at the end, -1 for an error.
static inline long graft_read_folder(int folder, void *buffer, size_t size) {
    return syscall(SYS_getdents64, folder, buffer, size);
}

// The number of the kind of file system that `path` is on; 0 where nobody says.
static inline unsigned graft_file_system(const char *path) {
    struct statfs status;
    return statfs(path, &status) == 0 ? (unsigned)status.f_type : 0;
}

#endif
