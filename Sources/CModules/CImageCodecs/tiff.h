// libtiff's calls by address, and what Swift cannot write of them: variadic calls and callbacks with va_list.
#ifndef GRAFT_CIMAGECODECS_TIFF_H
#define GRAFT_CIMAGECODECS_TIFF_H

#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef ptrdiff_t (*graft_tiff_transfer)(void *, void *, ptrdiff_t);
typedef uint64_t (*graft_tiff_seek)(void *, uint64_t, int);
typedef int (*graft_tiff_close)(void *);
typedef uint64_t (*graft_tiff_size)(void *);
typedef int (*graft_tiff_map)(void *, void **, uint64_t *);
typedef void (*graft_tiff_unmap)(void *, void *, uint64_t);
typedef void (*graft_tiff_handler)(const char *, const char *, va_list);
typedef void (*graft_tiff_handler_of)(void *, const char *, const char *, va_list);

// What libtiff hands back to each call for a file: who reads it, and what was wrong first.
typedef struct {
    void *reader;
    char error[512];
} graft_tiff_client;

typedef struct {
    const char *(*version)(void);
    void *(*open)(
        const char *, const char *, void *, graft_tiff_transfer, graft_tiff_transfer,
        graft_tiff_seek, graft_tiff_close, graft_tiff_size, graft_tiff_map, graft_tiff_unmap);
    void (*close)(void *);
    int (*get)(void *, uint32_t, ...);
    int (*set)(void *, uint32_t, ...);
    int (*is_tiled)(void *);
    int (*is_configured)(uint16_t);
    ptrdiff_t (*strip_size)(void *);
    ptrdiff_t (*tile_size)(void *);
    ptrdiff_t (*row_size)(void *);
    int (*read_row)(void *, void *, uint32_t, uint16_t);
    int (*read_rgba_strip)(void *, uint32_t, uint32_t *);
    int (*read_rgba_tile)(void *, uint32_t, uint32_t, uint32_t *);
    uint32_t (*strip)(void *, uint32_t, uint16_t);
    uint32_t (*tile)(void *, uint32_t, uint32_t, uint32_t, uint16_t);
    ptrdiff_t (*read_strip)(void *, uint32_t, void *, ptrdiff_t);
    ptrdiff_t (*read_tile)(void *, uint32_t, void *, ptrdiff_t);
    graft_tiff_handler (*set_error)(graft_tiff_handler);
    graft_tiff_handler_of (*set_error_of)(graft_tiff_handler_of);
    graft_tiff_handler (*set_warning)(graft_tiff_handler);
} graft_tiff;

static inline void graft_tiff_keep(void *user, const char *module, const char *format,
                                   va_list arguments) {
    graft_tiff_client *client = (graft_tiff_client *)user;
    (void)module;
    // The first error is the cause of those that follow.
    if (client && !client->error[0])
        vsnprintf(client->error, sizeof client->error, format, arguments);
}
static inline const char *graft_tiff_error(const graft_tiff_client *client) { return client->error; }

static inline const char *graft_tiff_load(graft_tiff *tiff, const char *path) {
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (!library) return "the library";
#define GRAFT_TIFF(field, symbol) \
    if (!(*(void **)(&tiff->field) = dlsym(library, symbol))) return symbol;
    GRAFT_TIFF(version, "TIFFGetVersion")
    GRAFT_TIFF(open, "TIFFClientOpen")
    GRAFT_TIFF(close, "TIFFClose")
    GRAFT_TIFF(get, "TIFFGetField")
    GRAFT_TIFF(set, "TIFFSetField")
    GRAFT_TIFF(is_tiled, "TIFFIsTiled")
    GRAFT_TIFF(is_configured, "TIFFIsCODECConfigured")
    GRAFT_TIFF(strip_size, "TIFFStripSize")
    GRAFT_TIFF(tile_size, "TIFFTileSize")
    GRAFT_TIFF(row_size, "TIFFScanlineSize")
    GRAFT_TIFF(read_row, "TIFFReadScanline")
    GRAFT_TIFF(read_rgba_strip, "TIFFReadRGBAStrip")
    GRAFT_TIFF(read_rgba_tile, "TIFFReadRGBATile")
    GRAFT_TIFF(strip, "TIFFComputeStrip")
    GRAFT_TIFF(tile, "TIFFComputeTile")
    GRAFT_TIFF(read_strip, "TIFFReadEncodedStrip")
    GRAFT_TIFF(read_tile, "TIFFReadEncodedTile")
    GRAFT_TIFF(set_error, "TIFFSetErrorHandler")
    GRAFT_TIFF(set_error_of, "TIFFSetErrorHandlerExt")
    GRAFT_TIFF(set_warning, "TIFFSetWarningHandler")
#undef GRAFT_TIFF
    tiff->set_error(NULL);
    tiff->set_error_of(graft_tiff_keep);
    tiff->set_warning(NULL);
    return NULL;
}

// A field of one number, or `other` where it is not there.
static inline uint32_t graft_tiff_u16(const graft_tiff *tiff, void *file, uint32_t tag, uint32_t other) {
    uint16_t value = 0;
    return tiff->get(file, tag, &value) ? value : other;
}
static inline uint32_t graft_tiff_u32(const graft_tiff *tiff, void *file, uint32_t tag, uint32_t other) {
    uint32_t value = 0;
    return tiff->get(file, tag, &value) ? value : other;
}
// What the extra samples are, the first of them: 0 not told, 1 premultiplied alpha, 2 alpha; -1 if there are none.
static inline int graft_tiff_extra(const graft_tiff *tiff, void *file) {
    uint16_t count = 0, *kinds = NULL;
    return tiff->get(file, 338, &count, &kinds) && count > 0 && kinds ? kinds[0] : -1;
}
// The three columns of a palette of 2^bits colours.
static inline int graft_tiff_palette(const graft_tiff *tiff, void *file, const uint16_t **red,
                                     const uint16_t **green, const uint16_t **blue) {
    return tiff->get(file, 320, red, green, blue) && *red && *green && *blue;
}
// Has JPEG's YCbCr converted as it is decoded.
static inline void graft_tiff_ask_rgb(const graft_tiff *tiff, void *file) {
    tiff->set(file, 65538 /* JPEGCOLORMODE */, 1 /* RGB */);
}
// Keeps the RGBA calls from mirroring each strip by itself.
static inline void graft_tiff_ask_upright(const graft_tiff *tiff, void *file) {
    tiff->set(file, 274 /* ORIENTATION */, 1);
}

#endif
