// libc as System's Swift sees it, and what has to be C below graft's modules: variadic calls, macros, a signal handler.
#ifndef GRAFT_CGRAFTSYSTEM_H
#define GRAFT_CGRAFTSYSTEM_H

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <locale.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Notes which file is mapped at `start`, for graft_report_bus_errors; forgets it. Any thread may call them.
// At most GRAFT_MAPPING_LIMIT files are noted at a time, others are not named.
enum { GRAFT_MAPPING_LIMIT = 4096 };
void graft_note_mapping(const void *start, size_t count, const char *path);
void graft_forget_mapping(const void *start);

// Ends the process with status 1 and an error that names the file when a mapped file cannot be read (SIGBUS): it
// was truncated while it was mapped, or its disk failed. Other bus errors end it as before.
void graft_report_bus_errors(void);

// A macro.
static inline int graft_errno(void) { return errno; }
static inline void graft_set_errno(int code) { errno = code; }

// Variadic: Swift cannot call them.
long syscall(long number, ...);
static inline int graft_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static inline int graft_open_at(int folder, const char *path, int flags, mode_t mode) {
    return openat(folder, path, flags, mode);
}
// A second number of an open file, at least `lowest` and closed when a program is run.
static inline int graft_duplicate(int file, int lowest) { return fcntl(file, F_DUPFD_CLOEXEC, lowest); }
static inline int graft_close_on_exec(int file) { return fcntl(file, F_SETFD, FD_CLOEXEC); }
// FICLONE of linux/fs.h: the copy shares the blocks.
static inline int graft_clone(int target, int source) { return ioctl(target, 0x40049409, source); }

// A file without a name in a folder: O_TMPFILE, or -1 where the file system has none.
#define GRAFT_O_TMPFILE (020000000 | O_DIRECTORY)
static inline int graft_open_nameless(const char *folder) {
    return open(folder, GRAFT_O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
}

// LC_CTYPE_MASK is an expression.
static inline locale_t graft_text_locale(void) { return newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0); }

// SIG_IGN and SIG_DFL are casts.
static inline void graft_ignore_signal(int number) { signal(number, SIG_IGN); }
static inline void graft_restore_signal(int number) { signal(number, SIG_DFL); }

// Sets the time of the last use to now, and leaves that of the last change.
static inline int graft_mark_use(int file) {
    const struct timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    return futimens(file, times);
}

// The columns of a terminal, 0 where it does not say.
static inline int graft_terminal_columns(int file) {
    struct winsize size;
    return ioctl(file, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// Fills `buffer` with records: 8 bytes inode, 8 bytes offset, 2 bytes length of the record, 1 byte kind,
// the name and a zero. Returns the bytes that are filled, 0 at the end, -1 for an error. `readdir` costs more
// calls and 32 KiB per folder.
static inline long graft_read_folder(int folder, void *buffer, size_t size) {
    return syscall(SYS_getdents64, folder, buffer, size);
}

// The number of the kind of file system that `path` is on; 0 if it is unknown.
static inline unsigned graft_file_system(const char *path) {
    struct statfs status;
    return statfs(path, &status) == 0 ? (unsigned)status.f_type : 0;
}

// The limit of open files, raised to what the system allows.
static inline void graft_allow_many_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

// Linux 5.14: populates page tables for reading; newer than some headers.
#define GRAFT_MADV_POPULATE_READ 22

#endif
