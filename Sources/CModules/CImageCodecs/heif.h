// libheif's calls by address: loaded when an image needs it, and no header of it is needed to build.
#ifndef GRAFT_CIMAGECODECS_HEIF_H
#define GRAFT_CIMAGECODECS_HEIF_H

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

// What libheif returns by value: an enum, an enum and a text that it owns.
typedef struct {
    int code, subcode;
    const char *message;
} graft_heif_error;

// The first two fields of libheif's decoding options, which never move; it allocates the whole.
typedef struct {
    uint8_t version, ignore_transformations;
} graft_heif_options;

// The first fields of libheif's profile of colours as numbers.
typedef struct {
    uint8_t version;
    int primaries, transfer, matrix;
    uint8_t full_range;
} graft_heif_nclx;

// Numbers of libheif's enums.
enum {
    GRAFT_HEIF_YCBCR = 0, GRAFT_HEIF_RGB = 1,  GRAFT_HEIF_420 = 1, GRAFT_HEIF_422 = 2, GRAFT_HEIF_INTERLEAVED_RGB = 10,
    GRAFT_HEIF_UNSUPPORTED_FEATURE = 4, GRAFT_HEIF_UNSUPPORTED_CODEC = 3000,
    GRAFT_HEIF_MEMORY = 6,
    GRAFT_HEIF_HEVC = 1, GRAFT_HEIF_AV1 = 4,
};

typedef struct {
    const char *(*version)(void);
    graft_heif_error (*init)(void *);
    void *(*context_alloc)(void);
    void (*context_free)(void *);
    void (*set_threads)(void *, int);
    int (*have_decoder)(int);
    graft_heif_error (*read)(void *, const void *, size_t, const void *);
    graft_heif_error (*primary)(void *, void **);
    void (*handle_release)(const void *);
    int (*handle_width)(const void *);
    int (*handle_height)(const void *);
    int (*handle_bits)(const void *);
    graft_heif_error (*image_nclx)(const void *, graft_heif_nclx **);
    void (*nclx_free)(graft_heif_nclx *);
    graft_heif_options *(*options_alloc)(void);
    void (*options_free)(graft_heif_options *);
    graft_heif_error (*decode)(const void *, void **, int, int, const graft_heif_options *);
    int (*width)(const void *, int);
    int (*height)(const void *, int);
    int (*bits)(const void *, int);
    int (*chroma)(const void *);
    const uint8_t *(*plane)(const void *, int, int *);
    void (*release)(const void *);
} graft_heif;

// Loads the library; the name of what is missing, or NULL.
static inline const char *graft_heif_load(graft_heif *heif, const char *path) {
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (!library) return "the library";
#define GRAFT_HEIF(field, symbol) \
    if (!(*(void **)(&heif->field) = dlsym(library, symbol))) return symbol;
    GRAFT_HEIF(version, "heif_get_version")
    GRAFT_HEIF(context_alloc, "heif_context_alloc")
    GRAFT_HEIF(context_free, "heif_context_free")
    GRAFT_HEIF(read, "heif_context_read_from_memory_without_copy")
    GRAFT_HEIF(primary, "heif_context_get_primary_image_handle")
    GRAFT_HEIF(handle_release, "heif_image_handle_release")
    GRAFT_HEIF(handle_width, "heif_image_handle_get_width")
    GRAFT_HEIF(handle_height, "heif_image_handle_get_height")
    GRAFT_HEIF(handle_bits, "heif_image_handle_get_luma_bits_per_pixel")
    GRAFT_HEIF(image_nclx, "heif_image_get_nclx_color_profile")
    GRAFT_HEIF(nclx_free, "heif_nclx_color_profile_free")
    GRAFT_HEIF(options_alloc, "heif_decoding_options_alloc")
    GRAFT_HEIF(options_free, "heif_decoding_options_free")
    GRAFT_HEIF(decode, "heif_decode_image")
    GRAFT_HEIF(width, "heif_image_get_width")
    GRAFT_HEIF(height, "heif_image_get_height")
    GRAFT_HEIF(bits, "heif_image_get_bits_per_pixel_range")
    GRAFT_HEIF(chroma, "heif_image_get_chroma_format")
    GRAFT_HEIF(plane, "heif_image_get_plane_readonly")
    GRAFT_HEIF(release, "heif_image_release")
#undef GRAFT_HEIF
    // Newer than some libraries that decode as well without them.
    *(void **)(&heif->init) = dlsym(library, "heif_init");
    *(void **)(&heif->have_decoder) = dlsym(library, "heif_have_decoder_for_format");
    *(void **)(&heif->set_threads) = dlsym(library, "heif_context_set_max_decoding_threads");
    // Loads its plug-ins, which cannot be done later.
    if (heif->init) heif->init(NULL);
    return NULL;
}

#endif
