// Snappy.
#ifndef GRAFT_CSNAPPY_SHIM_H
#define GRAFT_CSNAPPY_SHIM_H

#include <snappy-c.h>

#endif
