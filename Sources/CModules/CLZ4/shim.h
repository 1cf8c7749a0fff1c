// LZ4.
#ifndef GRAFT_CLZ4_SHIM_H
#define GRAFT_CLZ4_SHIM_H

#include <lz4.h>

#endif
