// graft's own kernels: what oneDNN does not have, or does slower, and 16-bit floats. f32 elsewhere.
#ifndef GRAFT_CKERNELS_H
#define GRAFT_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "Winograd.h"

// How a map (N, C, H, W) lies in memory: [n][C / block][area][block], channels filled up to a
// multiple of `block`. Row-major is block 1, channels-last is block C. `pixel` counts floats from one
// place of the map to the next and `batch_stride` from one sample to the next, so that some channels
// of a wider map are a map too.
typedef struct {
    size_t n, channels, area, block, pixel, batch_stride;
} graft_layout;

// Runs body(context, i) for i in 0..<count on the threads that OpenMP would use; in this thread
// where there is no OpenMP.
void graft_parallel(size_t count, void (*body)(void *context, size_t index), void *context);

// The same, with a number for each thread that is at work, below the number of threads.
void graft_parallel_slots(
    size_t count, void (*body)(void *context, size_t slot, size_t index), void *context);

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

#endif
