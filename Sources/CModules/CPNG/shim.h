// libpng, of which only png_image_* is used, for it never longjmps.
#ifndef GRAFT_CPNG_SHIM_H
#define GRAFT_CPNG_SHIM_H

#include <png.h>

#endif
