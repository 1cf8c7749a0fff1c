// graft's own kernels: what oneDNN does not have, or does slower, and 16-bit floats. f32 elsewhere.
#ifndef GRAFT_CKERNELS_H
#define GRAFT_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "Axes.h"
#include "Attention.h"
#include "Winograd.h"

// How a map (N, C, H, W) lies in memory: [n][C / block][area][block], channels filled up to a
// multiple of `block`. Row-major is block 1, channels-last is block C. `pixel` counts floats from one
// place of the map to the next and `batch_stride` from one sample to the next, so that some channels
// of a wider map are a map too.
typedef struct {
    size_t n, channels, area, block, pixel, batch_stride;
} graft_layout;

// Runs body(context, i) for i in 0..<count on `threads` threads of OpenMP's, or as many as the calling thread's
// regions have if it is 0; in this thread where there is no OpenMP.
void graft_parallel(
    size_t count, size_t threads, void (*body)(void *context, size_t index), void *context);

// The same, with a number below `slots` for each thread that is at work (0: no limit).
void graft_parallel_slots(
    size_t count, size_t slots, void (*body)(void *context, size_t slot, size_t index), void *context);

// The floats of this processor's vectors, of which kernels written for it make blocks: 8 (AVX2 and FMA), 16 (AVX-512),
// or 0 if there is no kernel for it. `limit` is the largest block that is wanted.
size_t graft_vector_block(size_t limit);

// y = min(max(scale[c] x + shift[c], lower), upper). `scale` and `shift` are filled up to a multiple
// of x.block; `scale_stride` floats lie between the scales of two samples (0: all have the same).
// `shift` may be null. y may be x.
void graft_channel_affine(
    graft_layout x_layout, const float *x, const float *scale, size_t scale_stride,
    const float *shift, float lower, float upper, graft_layout y_layout, float *y);

// Copies a map into one with as many channels and the same block, a part of a wider one or not.
void graft_copy_channels(graft_layout x_layout, const float *x, graft_layout y_layout, float *y);

// Multiplies each of `rows` rows of `size` numbers by its own factor.
void graft_scale_rows(float *numbers, size_t rows, size_t size, const float *factors);

// `count` numbers as another type, rounded to nearest even; NaN stays NaN. Neither needs alignment.
void graft_f32_to_f16(const void *source, void *target, size_t count);
void graft_f16_to_f32(const void *source, void *target, size_t count);
void graft_f32_to_bf16(const void *source, void *target, size_t count);
void graft_bf16_to_f32(const void *source, void *target, size_t count);

// A number that differs for bytes that differ, but for chance; not against forgery.
uint64_t graft_checksum(const void *bytes, size_t count);

// z = the sum of n maps where lower < y < upper, else 0: the gradient of an activation that cuts.
void graft_masked_sum(
    size_t count, const float *const *parts, size_t n, const float *y, float lower, float upper,
    float *z);

// The gradients of y = cut(scale[c] (x - mean[c]) + shift[c]): dx = scale[c] g, and by channel
// products = Σ g (x - mean[c]) and plain = Σ g, where g is dy between the bounds of y. All maps lie
// alike; scale and mean are filled up to a multiple of the block. y (no cut) and dx may be null.
// `sums` has room for graft_affine_sums_count.
void graft_channel_affine_backward(
    graft_layout l, const float *x, const float *dy, const float *y, float lower, float upper,
    const float *scale, const float *mean, float *dx, float *products, float *plain, float *sums);
size_t graft_affine_sums_count(graft_layout l);

// The mean of each channel and the mean square about it. `sums` has room for graft_affine_sums_count.
void graft_channel_moments(graft_layout l, const float *x, float *mean, float *variance, float *sums);

// z = of_a[c] · a + of_b[c] · b + shift[c]; all maps lie alike, all factors are filled up to a multiple of the block.
// z is no other map.
void graft_channel_combine(
    graft_layout l, const float *a, const float *of_a, const float *b, const float *of_b, const float *shift,
    float *z);

// folded[r] = factors[r] · weights[r] for rows of `size` numbers.
void graft_fold_rows(
    const float *weights, size_t rows, size_t size, const float *factors, float *folded);

// What the gradient of folded weights says: out[r] = factors[r] · gradient[r], the gradient of the
// weights, and dots[r] = gradient[r] · weights[r], that of the factor. Either may be null.
void graft_unfold_rows(
    const float *gradient, const float *weights, size_t rows, size_t size, const float *factors,
    float *out, float *dots);

// Rows of `size` numbers as multiples of their own scale, the largest magnitude / 127: out[r][i] · scales[r].
void graft_quantize_rows(const float *numbers, size_t rows, size_t size, int8_t *out, float *scales);

// The smallest and the largest number; NaN counts as none, and of none they are ∞ and −∞.
void graft_bounds(const float *x, size_t count, float *lower, float *upper);

// Counts each number in the bin of its magnitude, bin i from i · width on; zeros and what is beyond them all are
// left out.
void graft_count_magnitudes(
    const float *x, size_t count, float width, uint64_t *bins, size_t bin_count);

// A depthwise convolution: every channel has a kernel of its own.
typedef struct {
    size_t n, channels, height, width, out_height, out_width;
    size_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w; // dilation 1: no gaps
    size_t top, left;                                                      // zeros before the map
    size_t block;                                                          // channels at a time
    graft_strides x, y;                                                    // for that many channels
} graft_depthwise;

// Whether the kernel can do it: blocks of 8 or 16 channels, rows of 3, 5 or 7 taps.
int graft_depthwise_fits(const graft_depthwise *w);

// The gradients of the weights (channels, kernel_h, kernel_w) and of the bias, which may be null. `sums`
// has room for graft_depthwise_sums_count.
void graft_depthwise_weights(
    const graft_depthwise *w, const float *x, const float *dy, float *dw, float *bias, float *sums);
size_t graft_depthwise_sums_count(const graft_depthwise *w);

// What this machine does at most: multiplications and additions a second in registers, and bytes a
// second read from memory, by so many threads.
double graft_peak_operations(size_t threads);
double graft_peak_bandwidth(size_t threads);

// 2 if this processor multiplies bf16, 1 if AVX-512 can do it in other ways, else 0.
int graft_has_bf16(void);

// Whether this processor multiplies numbers of eight bits four at a time (VNNI, AMX).
int graft_has_int8(void);

#endif
