// What touches each number once: scale and shift by channel, gates, and copies of channels.
#include "CKernels.h"
#include "clones.h"
#include <string.h>

// How many floats a task has at least, so that starting it costs little beside it.
enum { TASK = 1 << 14 };

typedef struct {
    graft_layout xl, yl;
    const float *x, *scale, *shift;
    float *y;
    size_t scale_stride, blocks, parts, part;
    float lower, upper;
} job;

static inline float clamped(float v, float lower, float upper) {
    v = v > lower ? v : lower;
    return v < upper ? v : upper;
}

// y is x or lies elsewhere: to be told, or the loop that finds them alike goes number by number.
// Elsewhere than on x86-64 not all of these loops become vectors, which a compiler that is told to says aloud.
#ifdef __x86_64__
#define APART _Pragma("clang loop vectorize(assume_safety)")
#else
#define APART
#endif
#define AFFINE_BODY(B, SHIFT)                                                                      \
    for (size_t i = 0; i < area; i++)                                                              \
        APART for (size_t c = 0; c < (B); c++)                                                     \
            y[i * y_pixel + c] = clamped(scale[c] * x[i * x_pixel + c] + SHIFT, lower, upper)
#define AFFINE(B)                                                                                  \
    if (shift) {                                                                                   \
        AFFINE_BODY(B, shift[c]);                                                                  \
    } else {                                                                                       \
        AFFINE_BODY(B, 0);                                                                         \
    }

CLONES static void affine_block(
    const float *x, size_t x_pixel, const float *scale, const float *shift, float *y,
    size_t y_pixel, size_t area, size_t block, float lower, float upper) {
    if (block == 1) {
        const float a = scale[0], b = shift ? shift[0] : 0;
        APART for (size_t i = 0; i < area; i++) y[i] = clamped(a * x[i] + b, lower, upper);
    } else if (block == 8) {
        AFFINE(8);
    } else if (block == 16) {
        AFFINE(16);
    } else {
        AFFINE(block);
    }
}

// The places that part `index` of `parts` has: from *first, as many as are returned.
static size_t places(const job *j, size_t index, size_t *first) {
    *first = j->xl.area * index / j->parts;
    return j->xl.area * (index + 1) / j->parts - *first;
}

static void divide(job *j) {
    j->blocks = (j->xl.channels + j->xl.block - 1) / j->xl.block;
    j->parts = j->xl.area * j->xl.block / TASK;
    if (!j->parts) j->parts = 1;
    if (j->parts > j->xl.area) j->parts = j->xl.area;
}

static void affine_task(void *context, size_t index) {
    const job *j = context;
    size_t first;
    const size_t area = places(j, index % j->parts, &first);
    const size_t n = index / j->parts / j->blocks, b = index / j->parts % j->blocks;
    const size_t block = j->xl.block;
    affine_block(
        j->x + n * j->xl.batch_stride + b * j->xl.area * block + first * j->xl.pixel, j->xl.pixel,
        j->scale + n * j->scale_stride + b * block, j->shift ? j->shift + b * block : NULL,
        j->y + n * j->yl.batch_stride + b * j->yl.area * block + first * j->yl.pixel, j->yl.pixel,
        area, block, j->lower, j->upper);
}

void graft_channel_affine(
    graft_layout xl, const float *x, const float *scale, size_t scale_stride, const float *shift,
    float lower, float upper, graft_layout yl, float *y) {
    job j = {.xl = xl, .yl = yl, .x = x, .scale = scale, .shift = shift, .y = y,
             .scale_stride = scale_stride, .lower = lower, .upper = upper};
    divide(&j);
    graft_parallel(xl.n * j.blocks * j.parts, 0, affine_task, &j);
}

static void copy_task(void *context, size_t index) {
    const job *j = context;
    size_t first;
    const size_t area = places(j, index % j->parts, &first);
    const size_t n = index / j->parts / j->blocks, b = index / j->parts % j->blocks;
    const size_t block = j->xl.block;
    const float *x = j->x + n * j->xl.batch_stride + b * j->xl.area * block + first * j->xl.pixel;
    float *y = j->y + n * j->yl.batch_stride + b * j->yl.area * block + first * j->yl.pixel;
    if (j->xl.pixel == block && j->yl.pixel == block)
        memcpy(y, x, area * block * sizeof(float));
    else
        for (size_t i = 0; i < area; i++)
            memcpy(y + i * j->yl.pixel, x + i * j->xl.pixel, block * sizeof(float));
}

void graft_copy_channels(graft_layout xl, const float *x, graft_layout yl, float *y) {
    job j = {.xl = xl, .yl = yl, .x = x, .y = y};
    divide(&j);
    graft_parallel(xl.n * j.blocks * j.parts, 0, copy_task, &j);
}

void graft_scale_rows(float *numbers, size_t rows, size_t size, const float *factors) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < size; i++) numbers[r * size + i] *= factors[r];
}
