// SIGBUS with the name of the file: a table of mapped files, and a handler that reads it.
#include "CGraftSystem.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { PATH_ROOM = 1008 };

// `start` is 0 where the entry is free and 1 while it is written; the rest is valid where it is an address.
typedef struct {
    _Atomic uintptr_t start;
    _Atomic size_t count;
    char path[PATH_ROOM];
} mapping;

static mapping mappings[GRAFT_MAPPING_LIMIT];
static _Atomic size_t used;  // no entry from here on was ever taken

void graft_note_mapping(const void *start, size_t count, const char *path) {
    for (size_t i = 0; i < GRAFT_MAPPING_LIMIT; i++) {
        mapping *m = &mappings[i];
        uintptr_t vacant = 0;
        if (!atomic_compare_exchange_strong(&m->start, &vacant, 1)) continue;
        size_t end = atomic_load(&used);
        while (end <= i && !atomic_compare_exchange_weak(&used, &end, i + 1)) {}
        atomic_store(&m->count, count);
        const size_t length = strlen(path);
        // The end of a long path says more than its start.
        const char *kept = length < PATH_ROOM ? path : path + length - (PATH_ROOM - 1);
        memcpy(m->path, kept, strlen(kept) + 1);
        atomic_store_explicit(&m->start, (uintptr_t)start, memory_order_release);
        return;
    }
}

void graft_forget_mapping(const void *start) {
    const size_t end = atomic_load(&used);
    for (size_t i = 0; i < end; i++) {
        uintptr_t expected = (uintptr_t)start;
        if (atomic_compare_exchange_strong(&mappings[i].start, &expected, 0)) return;
    }
}

static void put(const char *text, size_t count) {
    while (count) {
        const ssize_t written = write(STDERR_FILENO, text, count);
        if (written <= 0) return;
        text += written;
        count -= (size_t)written;
    }
}

static void say(const char *text) { put(text, strlen(text)); }

// What would steer a terminal is masked: names of files are a stranger's.
static void say_path(const char *path) {
    for (const char *at = path; *at; at++) {
        const unsigned char c = (unsigned char)*at, next = (unsigned char)at[1];
        const int steers = c < 0x20 || c == 0x7F || (c == 0xC2 && next >= 0x80 && next < 0xA0);
        put(steers ? "?" : at, 1);
        if (c == 0xC2 && steers) at++;
    }
}

static void report(int signal_number, siginfo_t *info, void *context) {
    (void)context;
    const uintptr_t at = (uintptr_t)info->si_addr;
    const size_t end = atomic_load(&used);
    for (size_t i = 0; info->si_code > 0 && i < end; i++) {
        const uintptr_t start = atomic_load_explicit(&mappings[i].start, memory_order_acquire);
        if (start <= 1 || at < start || at - start >= atomic_load(&mappings[i].count)) continue;
        say("error: cannot read `");
        say_path(mappings[i].path);
        say("`: it was truncated or overwritten while it was open, or its disk failed\n"
            "hint: run the command again; replace a file by renaming a new one over it (`mv new old`)\n");
        _exit(1);
    }
    // The instruction faults again, without a handler.
    signal(signal_number, SIG_DFL);
}

void graft_report_bus_errors(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = report;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
