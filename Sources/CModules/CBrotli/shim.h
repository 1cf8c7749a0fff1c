// Brotli.
#ifndef GRAFT_CBROTLI_SHIM_H
#define GRAFT_CBROTLI_SHIM_H

#include <brotli/decode.h>

#endif
