#ifndef KAPSULE_CZLIB_SHIM_H
#define KAPSULE_CZLIB_SHIM_H

#include <zlib.h>

#endif
