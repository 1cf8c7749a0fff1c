// libpng: png_image_*, which never longjmps, and reading by rows, whose longjmps end in this header.
#ifndef GRAFT_CPNG_SHIM_H
#define GRAFT_CPNG_SHIM_H

#include <png.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// A PNG in memory that is read row by row.
typedef struct {
    png_structp png;
    png_infop info;
    const uint8_t *bytes;
    size_t count, at;
    char text[128];
} graft_png_rows;

static inline void graft_png_fail(png_structp png, png_const_charp message) {
    graft_png_rows *rows = (graft_png_rows *)png_get_error_ptr(png);
    strncpy(rows->text, message, sizeof rows->text - 1);
    longjmp(png_jmpbuf(png), 1);
}
static inline void graft_png_warn(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}
static inline void graft_png_give(png_structp png, png_bytep target, size_t count) {
    graft_png_rows *rows = (graft_png_rows *)png_get_io_ptr(png);
    if (count > rows->count - rows->at) png_error(png, "read beyond end of data");
    memcpy(target, rows->bytes + rows->at, count);
    rows->at += count;
}

static inline void graft_png_close(graft_png_rows *rows) {
    if (rows && rows->png) png_destroy_read_struct(&rows->png, &rows->info, NULL);
    free(rows);
}

// Reads up to the first row and has all pixels made 8-bit RGB without alpha, colours as they are stored.
// NULL without memory; `text` of the answer says what else is wrong.
static inline graft_png_rows *graft_png_open(const uint8_t *bytes, size_t count) {
    graft_png_rows *rows = (graft_png_rows *)calloc(1, sizeof *rows);
    if (!rows) return NULL;
    rows->bytes = bytes;
    rows->count = count;
    rows->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, rows, graft_png_fail, graft_png_warn);
    if (rows->png) rows->info = png_create_info_struct(rows->png);
    if (!rows->info) {
        graft_png_close(rows);
        return NULL;
    }
    if (setjmp(png_jmpbuf(rows->png))) return rows;
    png_set_read_fn(rows->png, rows, graft_png_give);
    png_read_info(rows->png, rows->info);
    png_set_palette_to_rgb(rows->png);
    png_set_expand_gray_1_2_4_to_8(rows->png);
    png_set_strip_16(rows->png);
    png_set_gray_to_rgb(rows->png);
    png_set_strip_alpha(rows->png);
    png_read_update_info(rows->png, rows->info);
    return rows;
}

// The bytes of a row of the whole width.
static inline size_t graft_png_row_bytes(const graft_png_rows *rows) {
    return png_get_rowbytes(rows->png, rows->info);
}

// The next row: 0 and a text if there is none.
static inline int graft_png_read(graft_png_rows *rows, uint8_t *row) {
    if (setjmp(png_jmpbuf(rows->png))) return 0;
    png_read_row(rows->png, row, NULL);
    return 1;
}

static inline const char *graft_png_text(const graft_png_rows *rows) { return rows->text; }

#endif
