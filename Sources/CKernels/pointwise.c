// What touches each number once: scale and shift by channel, gates, and copies of channels.
#include "CKernels.h"
#include <string.h>

typedef struct {
    graft_layout xl, yl;
    const float *x, *scale, *shift;
    float *y;
    size_t scale_stride, blocks, channel;
    float lower, upper;
} job;

static inline float clamped(float v, float lower, float upper) {
    v = v > lower ? v : lower;
    return v < upper ? v : upper;
}

#define AFFINE_BODY(B)                                                                             \
    for (size_t i = 0; i < area; i++)                                                              \
        for (size_t c = 0; c < (B); c++)                                                           \
            y[i * (B) + c] = clamped(scale[c] * x[i * (B) + c] + (shift ? shift[c] : 0), lower, upper)

static void affine_block(
    const float *x, const float *scale, const float *shift, float *y, size_t area, size_t block,
    float lower, float upper) {
    if (block == 1) {
        const float a = scale[0], b = shift ? shift[0] : 0;
        for (size_t i = 0; i < area; i++) y[i] = clamped(a * x[i] + b, lower, upper);
    } else if (block == 8) {
        AFFINE_BODY(8);
    } else if (block == 16) {
        AFFINE_BODY(16);
    } else {
        AFFINE_BODY(block);
    }
}

static void affine_task(void *context, size_t index) {
    const job *j = context;
    const size_t n = index / j->blocks, b = index % j->blocks, block = j->xl.block;
    const size_t step = j->xl.area * block;
    affine_block(
        j->x + n * j->xl.batch_stride + b * step, j->scale + n * j->scale_stride + b * block,
        j->shift ? j->shift + b * block : NULL, j->y + n * j->yl.batch_stride + b * step,
        j->xl.area, block, j->lower, j->upper);
}

void graft_channel_affine(
    graft_layout xl, const float *x, const float *scale, size_t scale_stride, const float *shift,
    float lower, float upper, graft_layout yl, float *y) {
    job j = {.xl = xl, .yl = yl, .x = x, .scale = scale, .shift = shift, .y = y,
             .scale_stride = scale_stride, .blocks = (xl.channels + xl.block - 1) / xl.block,
             .lower = lower, .upper = upper};
    graft_parallel(xl.n * j.blocks, affine_task, &j);
}

static void copy_task(void *context, size_t n) {
    const job *j = context;
    memcpy(
        j->y + n * j->yl.batch_stride + j->channel * j->xl.area, j->x + n * j->xl.batch_stride,
        j->blocks * j->xl.block * j->xl.area * sizeof(float));
}

void graft_copy_channels(graft_layout xl, const float *x, graft_layout yl, float *y, size_t channel) {
    job j = {.xl = xl, .yl = yl, .x = x, .y = y, .channel = channel,
             .blocks = (xl.channels + xl.block - 1) / xl.block};
    graft_parallel(xl.n, copy_task, &j);
}

void graft_scale_rows(float *numbers, size_t rows, size_t size, const float *factors) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < size; i++) numbers[r * size + i] *= factors[r];
}
