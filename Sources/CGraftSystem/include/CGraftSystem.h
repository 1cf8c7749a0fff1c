// What has to be C below graft's modules: a signal handler, which may call next to nothing.
#ifndef GRAFT_CSYSTEM_H
#define GRAFT_CSYSTEM_H

#include <stddef.h>

// Notes which file is mapped at `start`, for graft_report_bus_errors; forgets it. Any thread may call them.
// At most GRAFT_MAPPING_LIMIT files are noted at a time, others are not named.
enum { GRAFT_MAPPING_LIMIT = 4096 };
void graft_note_mapping(const void *start, size_t count, const char *path);
void graft_forget_mapping(const void *start);

// Ends the process with status 1 and an error that names the file when a mapped file cannot be read (SIGBUS): it
// was truncated while it was mapped, or its disk failed. Other bus errors end it as before.
void graft_report_bus_errors(void);

#endif
