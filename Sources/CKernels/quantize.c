// Numbers of eight bits: weights row by row, and how large the values are that are to be stored in them.
#include "CKernels.h"
#include "clones.h"
#include <math.h>

typedef struct {
    const float *numbers;
    int8_t *out;
    float *scales;
    size_t size;
} job;

CLONES static float largest(const float *x, size_t count) {
    float most = 0;
    for (size_t i = 0; i < count; i++) {
        const float v = fabsf(x[i]);
        most = v > most ? v : most;
    }
    return most;
}

CLONES static void round_row(const float *x, size_t count, float factor, int8_t *out) {
    for (size_t i = 0; i < count; i++) {
        float v = rintf(x[i] * factor);
        v = v < -127 ? -127 : v;
        out[i] = (int8_t)(v > 127 ? 127 : v);
    }
}

static void row(void *context, size_t r) {
    const job *j = context;
    const float *x = j->numbers + r * j->size;
    const float most = largest(x, j->size);
    // A row of zeros keeps a scale that can be divided by; what is not finite cannot be told in eight bits.
    const float scale = most > 1e-30f && most < INFINITY ? most / 127 : 1;
    j->scales[r] = scale;
    round_row(x, j->size, 1 / scale, j->out + r * j->size);
}

void graft_quantize_rows(const float *numbers, size_t rows, size_t size, int8_t *out, float *scales) {
    job j = {.numbers = numbers, .out = out, .scales = scales, .size = size};
    graft_parallel(rows, 0, row, &j);
}

CLONES void graft_bounds(const float *x, size_t count, float *lower, float *upper) {
    float low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    *lower = low;
    *upper = high;
}

void graft_count_magnitudes(
    const float *x, size_t count, float width, uint64_t *bins, size_t bin_count) {
    const float factor = 1 / width;
    for (size_t i = 0; i < count; i++) {
        const float at = fabsf(x[i]) * factor;
        // Comparisons that NaN fails.
        if (at > 0 && at < (float)bin_count) bins[(size_t)at]++;
    }
}
