// libarchive.
#ifndef GRAFT_CARCHIVE_SHIM_H
#define GRAFT_CARCHIVE_SHIM_H

#include <archive.h>
#include <archive_entry.h>

#endif
