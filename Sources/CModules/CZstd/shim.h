// zstd.
#ifndef GRAFT_CZSTD_SHIM_H
#define GRAFT_CZSTD_SHIM_H

#include <zstd.h>

#endif
