// Expat, the XML parser.
#ifndef GRAFT_CEXPAT_SHIM_H
#define GRAFT_CEXPAT_SHIM_H

#include <expat.h>

#endif
