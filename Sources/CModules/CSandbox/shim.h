// Linux' ways of giving up rights for good: rlimits, Landlock, seccomp. Their calls are variadic or have no wrapper.
#ifndef GRAFT_CSANDBOX_SHIM_H
#define GRAFT_CSANDBOX_SHIM_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

// Numbers that are the same on every architecture and newer than some headers.
#define GRAFT_NR_LANDLOCK_CREATE_RULESET 444
#define GRAFT_NR_LANDLOCK_RESTRICT_SELF 446
#define GRAFT_NR_CLOSE_RANGE 436

// A nameless file in memory, closed when a program is run.
static inline int graft_sandbox_memory_file(void) {
    return (int)syscall(__NR_memfd_create, "graft", 1U /* MFD_CLOEXEC */);
}

// Closes every descriptor from `first` on.
static inline void graft_sandbox_close_from(int first) {
    if (syscall(GRAFT_NR_CLOSE_RANGE, first, ~0U, 0) == 0) return;
    for (int fd = first; fd < 4096; fd++) close(fd);
}

static inline void graft_sandbox_limit(uint64_t seconds, uint64_t bytes) {
    struct rlimit limit = {seconds, seconds};
    setrlimit(RLIMIT_CPU, &limit);
    limit.rlim_cur = limit.rlim_max = bytes;
    setrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = limit.rlim_max = 0;
    setrlimit(RLIMIT_CORE, &limit);
    setrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = limit.rlim_max = 16;
    setrlimit(RLIMIT_NOFILE, &limit);
}

// The version of Landlock's interface; less than 1 where there is none.
static inline long graft_sandbox_landlock_version(void) {
    return syscall(GRAFT_NR_LANDLOCK_CREATE_RULESET, NULL, 0, 1 /* ask for the version */);
}

// No file may be opened, made or removed, and no TCP port bound or reached. The largest set of rights
// that the kernel knows is handled, and no rule gives any back.
static inline int graft_sandbox_landlock(void) {
    struct { uint64_t files, network, scoped; } attributes = {0, 0, 0};
    long abi = graft_sandbox_landlock_version();
    if (abi < 1) return 0;
    attributes.files = abi == 1 ? 0x1FFF : abi == 2 ? 0x3FFF : abi <= 4 ? 0x7FFF : 0xFFFF;
    attributes.network = abi >= 4 ? 3 : 0;
    attributes.scoped = abi >= 6 ? 3 : 0;
    size_t size = abi < 4 ? 8 : abi < 6 ? 16 : 24;
    long ruleset = syscall(GRAFT_NR_LANDLOCK_CREATE_RULESET, &attributes, size, 0);
    if (ruleset < 0) return 0;
    long status = syscall(GRAFT_NR_LANDLOCK_RESTRICT_SELF, ruleset, 0);
    close((int)ruleset);
    return status == 0;
}

#if defined(__x86_64__)
#define GRAFT_AUDIT_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define GRAFT_AUDIT_ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(__x86_64__)
#define GRAFT_NR_RSEQ 334
#elif defined(__aarch64__)
#define GRAFT_NR_RSEQ 293
#endif
#define GRAFT_NR_CLONE3 435
// The instructions between the jump that leaves threads out and the other calls.
#define GRAFT_THREAD_RULES 12

#define GRAFT_ALLOW(name) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

// CLONE_VM | CLONE_THREAD: what makes a clone a thread of this process and no other process.
#define GRAFT_THREAD_FLAGS 0x10100U

// Memory, time, what is open already and, if asked, threads; every other call fails with EPERM.
static inline int graft_sandbox_seccomp(int threads) {
#ifdef GRAFT_AUDIT_ARCH
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GRAFT_AUDIT_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_STMT(BPF_JMP | BPF_JA, threads ? 0 : GRAFT_THREAD_RULES),
        // libc then asks with clone, whose flags can be looked at.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GRAFT_NR_CLONE3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, GRAFT_THREAD_FLAGS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GRAFT_THREAD_FLAGS, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        GRAFT_ALLOW(set_robust_list),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GRAFT_NR_RSEQ, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        GRAFT_ALLOW(read), GRAFT_ALLOW(write), GRAFT_ALLOW(close), GRAFT_ALLOW(lseek),
        GRAFT_ALLOW(fstat), GRAFT_ALLOW(mmap), GRAFT_ALLOW(munmap), GRAFT_ALLOW(mprotect),
        GRAFT_ALLOW(mremap), GRAFT_ALLOW(madvise), GRAFT_ALLOW(brk), GRAFT_ALLOW(futex),
        GRAFT_ALLOW(rt_sigaction), GRAFT_ALLOW(rt_sigprocmask), GRAFT_ALLOW(rt_sigreturn),
        GRAFT_ALLOW(sigaltstack), GRAFT_ALLOW(clock_gettime), GRAFT_ALLOW(gettimeofday),
        GRAFT_ALLOW(getrandom), GRAFT_ALLOW(sched_yield), GRAFT_ALLOW(sched_getaffinity),
        GRAFT_ALLOW(getpid), GRAFT_ALLOW(gettid), GRAFT_ALLOW(exit), GRAFT_ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 1 /* all threads */, &program) == 0;
#else
    return 0;
#endif
}

// What the kernel has of the two, by the same numbers, without entering either.
static inline int graft_sandbox_support(void) {
    int landlock = graft_sandbox_landlock_version() >= 1;
#ifdef GRAFT_AUDIT_ARCH
    uint32_t action = SECCOMP_RET_ERRNO;
    int seccomp = syscall(__NR_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
#else
    int seccomp = 0;
#endif
    return landlock | seccomp << 1;
}

// Gives up files and network for good: 1 if Landlock took hold, 2 if seccomp did, or both.
static inline int graft_sandbox_enter(int threads) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 0;
    int landlock = graft_sandbox_landlock();
    return landlock | graft_sandbox_seccomp(threads) << 1;
}

#endif
