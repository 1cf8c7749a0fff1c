// Attention by tiles of queries: what the threads share out, and the kernel that this processor has.
#include "CKernels.h"
#include "Attention.h"
#include <math.h>
#include <string.h>

// TILE queries have their scores in memory at a time: of 1370 keys 260 kB, which the second-level cache holds.
// BLOCK is the widest vector of any kernel, to which rows are padded.
enum { TILE = 48, BLOCK = 16, HEAD = 16 };

typedef struct {
    const graft_attention *a;
    const float *q, *k, *v, *bias, *dy;
    float *y, *dq, *dk, *dv, *dbias, *scratch;
    size_t scratch_count, tiles;
    size_t block;
} attention_job;

// The padded lengths of rows.
typedef struct {
    size_t keys, width, values;
} extents;

// Where what a slot works on lies in its scratch memory.
typedef struct {
    float *kt, *v, *s, *o, *vt, *k, *dk, *dv, *q, *dy, *ds;
} parts;

static size_t padded(size_t n) { return (n + BLOCK - 1) / BLOCK * BLOCK; }

static extents extents_of(const graft_attention *a) {
    return (extents){padded(a->keys), padded(a->width), padded(a->values)};
}

static parts parts_of(const graft_attention *a, float *scratch) {
    const extents e = extents_of(a);
    parts p = {0};
    // The head of the memory says whose keys lie in it.
    p.kt = scratch + HEAD;
    p.s = p.kt + a->width * e.keys;
    p.o = p.s + TILE * e.keys;
    p.v = p.o + TILE * (e.width > e.values ? e.width : e.values);
    // Backward has the values across, not along.
    p.vt = p.v;
    p.k = p.vt + a->values * e.keys;
    p.dk = p.k + a->keys * e.width;
    p.dv = p.dk + a->keys * e.width;
    p.q = p.dv + a->keys * e.values;
    p.dy = p.q + TILE * e.width;
    p.ds = p.dy + TILE * e.values;
    return p;
}

size_t graft_attention_scratch_count(const graft_attention *a, int is_backward) {
    const extents e = extents_of(a);
    const size_t both = HEAD + a->width * e.keys + TILE * (e.keys + (e.width > e.values ? e.width : e.values));
    if (!is_backward) return padded(both + a->keys * e.values);
    return padded(
        both + a->values * e.keys + a->keys * (2 * e.width + e.values) + TILE * (e.width + e.values + e.keys));
}

static const float *bias_of(const attention_job *j, size_t sample, size_t head, size_t query) {
    const graft_attention *a = j->a;
    if (!j->bias) return 0;
    return j->bias + sample % a->bias_samples * a->bias_sample + head * a->bias_head + query * a->bias_query;
}

// Rows of a matrix as columns, padded with zeros: `to` is (width, padded).
static void laid_across(
    float *to, const float *from, size_t row, size_t rows, size_t width, size_t stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i++) to[i * stride + r] = from[r * row + i];
    for (size_t i = 0; i < width; i++) memset(to + i * stride + rows, 0, (stride - rows) * sizeof(float));
}

// Rows of a matrix, padded with zeros.
static void laid_along(
    float *to, const float *from, size_t row, size_t rows, size_t width, size_t stride) {
    for (size_t r = 0; r < rows; r++) {
        memcpy(to + r * stride, from + r * row, width * sizeof(float));
        memset(to + r * stride + width, 0, (stride - width) * sizeof(float));
    }
}

#define V 4
#define RT 4
#define NAME(x) plain_##x
#include "attention_kernel.inc"
#undef V
#undef RT
#undef NAME

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define V 8
#define RT 6
#define NAME(x) avx2_##x
#include "attention_kernel.inc"
#undef V
#undef RT
#undef NAME
#pragma clang attribute pop

#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma"))), apply_to = function)
#define V 16
#define RT 12
#define NAME(x) avx512_##x
#include "attention_kernel.inc"
#undef V
#undef RT
#undef NAME
#pragma clang attribute pop
#endif

static void forward_task(void *context, size_t slot, size_t index) {
    const attention_job *j = context;
    float *scratch = j->scratch + slot * j->scratch_count;
    const size_t head = index / j->tiles, first = index % j->tiles * TILE;
    const size_t sample = head / j->a->heads;
#if defined(__x86_64__)
    if (j->block == 16) return avx512_forward(j, scratch, sample, head % j->a->heads, first);
    if (j->block == 8) return avx2_forward(j, scratch, sample, head % j->a->heads, first);
#endif
    plain_forward(j, scratch, sample, head % j->a->heads, first);
}

static void backward_task(void *context, size_t slot, size_t index) {
    const attention_job *j = context;
    float *scratch = j->scratch + slot * j->scratch_count;
    const size_t sample = index / j->a->heads, head = index % j->a->heads;
#if defined(__x86_64__)
    if (j->block == 16) return avx512_backward(j, scratch, sample, head);
    if (j->block == 8) return avx2_backward(j, scratch, sample, head);
#endif
    plain_backward(j, scratch, sample, head);
}

void graft_attention_forward(
    const graft_attention *a, const float *q, const float *k, const float *v, const float *bias, float *y,
    float *scratch, size_t slots) {
    attention_job j = {.a = a, .q = q, .k = k, .v = v, .bias = bias, .y = y, .scratch = scratch};
    j.scratch_count = graft_attention_scratch_count(a, 0);
    j.tiles = (a->queries + TILE - 1) / TILE;
    j.block = graft_vector_block(BLOCK);
    const size_t none = SIZE_MAX;
    for (size_t slot = 0; slot < slots; slot++) memcpy(scratch + slot * j.scratch_count, &none, sizeof none);
    graft_parallel_slots(a->batch * a->heads * j.tiles, slots, forward_task, &j);
}

void graft_attention_backward(
    const graft_attention *a, const float *q, const float *k, const float *v, const float *bias, const float *dy,
    float *dq, float *dk, float *dv, float *dbias, float *scratch, size_t slots) {
    attention_job j = {.a = a, .q = q, .k = k, .v = v, .bias = bias, .dy = dy,
                       .dq = dq, .dk = dk, .dv = dv, .dbias = dbias, .scratch = scratch};
    j.scratch_count = graft_attention_scratch_count(a, 1);
    j.block = graft_vector_block(BLOCK);
    graft_parallel_slots(a->batch * a->heads, slots, backward_task, &j);
}
