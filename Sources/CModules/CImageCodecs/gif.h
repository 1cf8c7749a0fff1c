// giflib's calls by address, and the fields of its file that are read.
#ifndef GRAFT_CIMAGECODECS_GIF_H
#define GRAFT_CIMAGECODECS_GIF_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int count, bits;
    bool is_sorted;
    const uint8_t *colors;
} graft_gif_palette;

typedef struct {
    int left, top, width, height;
    bool is_interlaced;
    const graft_gif_palette *palette;
} graft_gif_frame;

// As giflib 5 lays out a file; there is more behind it.
typedef struct {
    int width, height, resolution, background;
    uint8_t aspect;
    const graft_gif_palette *palette;
    int count;
    graft_gif_frame frame;
    void *saved;
    int extension_count;
    void *extensions;
    int error;
    void *user;
} graft_gif_file;

typedef int (*graft_gif_input)(graft_gif_file *, uint8_t *, int);

typedef struct {
    graft_gif_file *(*open)(void *, graft_gif_input, int *);
    int (*close)(graft_gif_file *, int *);
    int (*record)(graft_gif_file *, int *);
    int (*frame)(graft_gif_file *);
    int (*line)(graft_gif_file *, uint8_t *, int);
    int (*extension)(graft_gif_file *, int *, uint8_t **);
    int (*next_extension)(graft_gif_file *, uint8_t **);
    const char *(*error)(int);
} graft_gif;

static inline const char *graft_gif_load(graft_gif *gif, const char *path) {
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (!library) return "the library";
#define GRAFT_GIF(field, symbol) \
    if (!(*(void **)(&gif->field) = dlsym(library, symbol))) return symbol;
    GRAFT_GIF(open, "DGifOpen")
    GRAFT_GIF(close, "DGifCloseFile")
    GRAFT_GIF(record, "DGifGetRecordType")
    GRAFT_GIF(frame, "DGifGetImageDesc")
    GRAFT_GIF(line, "DGifGetLine")
    GRAFT_GIF(extension, "DGifGetExtension")
    GRAFT_GIF(next_extension, "DGifGetExtensionNext")
    GRAFT_GIF(error, "GifErrorString")
#undef GRAFT_GIF
    return NULL;
}

#endif
