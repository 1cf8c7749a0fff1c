// TurboJPEG, the interface to libjpeg-turbo that returns errors instead of longjmping.
#ifndef GRAFT_CTURBOJPEG_SHIM_H
#define GRAFT_CTURBOJPEG_SHIM_H

#include <turbojpeg.h>

#endif
