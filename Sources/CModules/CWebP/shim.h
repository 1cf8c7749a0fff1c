// libwebp.
#ifndef GRAFT_CWEBP_SHIM_H
#define GRAFT_CWEBP_SHIM_H

#include <webp/decode.h>
#include <webp/encode.h>

#endif
