// zlib; its initialisers are macros, which Swift does not see.
#ifndef GRAFT_CZLIB_SHIM_H
#define GRAFT_CZLIB_SHIM_H

#include <zlib.h>

// Gzip or zlib, told apart by the first bytes.
static inline int graft_inflate_start(z_stream *stream) { return inflateInit2(stream, 15 + 32); }
// Gzip.
static inline int graft_deflate_start(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}

#endif
