// Winograd's convolution: weights, work for the threads, and the kernel that this processor has.
#include "CKernels.h"
#include "Winograd.h"
#include "clones.h"

// Floats between the numbers of one point and the next. Without them the points of a tile lie powers of two apart, in
// the few lines of the cache that such addresses share, and each write of one throws out another's.
enum { PAD = 16 };

typedef struct {
    const graft_winograd *w;
    const float *x, *u, *bias;
    float *y, *scratch;
    size_t scratch_count, total;
} job;

#if defined(__x86_64__)
#define HAS_KERNELS 1

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define V 8
#define RT 6
#define NAME(x) avx2_##x
#include "winograd_kernel.inc"
#undef V
#undef RT
#undef NAME
#pragma clang attribute pop

#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma"))), apply_to = function)
#define V 16
#define RT 12
#define NAME(x) avx512_##x
#include "winograd_kernel.inc"
#undef V
#undef RT
#undef NAME
#pragma clang attribute pop
#endif

int graft_winograd_fits(const graft_winograd *w, size_t block) {
    const size_t strides[] = {w->x.pixel, w->x.block, w->x.batch, w->y.pixel, w->y.block, w->y.batch};
    for (int i = 0; i < 6; i++)
        if (!block || strides[i] % block) return 0;
    return (w->m == 2 || w->m == 4) && w->channels % block == 0 && w->outputs % (2 * block) == 0;
}

static size_t points(const graft_winograd *w) { return (size_t)((w->m + 2) * (w->m + 2)); }

size_t graft_winograd_weights_count(const graft_winograd *w) {
    return points(w) * w->channels * w->outputs;
}

size_t graft_winograd_scratch_count(const graft_winograd *w, size_t block) {
    const size_t rt = block == 16 ? 12 : 6, rows = (w->tiles + rt - 1) / rt * rt;
    return points(w) * (rows * (w->channels + w->outputs) + 2 * PAD);
}

// The outputs of the widest panel.
enum { MOST = 32 };

static const double g4[6][3] = {
    {1.0 / 4, 0, 0}, {-1.0 / 6, -1.0 / 6, -1.0 / 6}, {-1.0 / 6, 1.0 / 6, -1.0 / 6},
    {1.0 / 24, 1.0 / 12, 1.0 / 6}, {1.0 / 24, -1.0 / 12, 1.0 / 6}, {0, 0, 1}};
static const double g2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};

typedef struct {
    const graft_winograd *w;
    size_t panel;
    const float *weights;
    int reversed;
    float *u;
} weights_job;

// One panel of P outputs, the same for all of them: [point][panel of outputs][channel][output in it].
static inline __attribute__((always_inline)) void panel_weights(
    const weights_job *j, size_t index, size_t P) {
    const size_t C = j->w->channels, K = j->w->outputs, k0 = index * P;
    const int m = j->w->m, t = m + 2;
    const double(*g)[3] = m == 4 ? g4 : g2;
    // From one output to the next and from one channel to the next, in kernels of nine.
    const size_t next = j->reversed ? 1 : C, along = j->reversed ? K : 1;
    for (size_t c = 0; c < C; c++) {
        double in[9][MOST], half[6][3][MOST];
        for (size_t l = 0; l < P; l++) {
            const float *from = j->weights + ((k0 + l) * next + c * along) * 9;
            for (int x = 0; x < 9; x++) in[x][l] = from[j->reversed ? 8 - x : x];
        }
        for (int i = 0; i < t; i++)
            for (int x = 0; x < 3; x++)
                for (size_t l = 0; l < P; l++)
                    half[i][x][l] = g[i][0] * in[x][l] + g[i][1] * in[3 + x][l] + g[i][2] * in[6 + x][l];
        for (int i = 0; i < t; i++)
            for (int x = 0; x < t; x++) {
                float *to = j->u + ((size_t)(i * t + x) * K + k0) * C + c * P;
                for (size_t l = 0; l < P; l++)
                    to[l] = (float)(half[i][0][l] * g[x][0] + half[i][1][l] * g[x][1]
                                    + half[i][2][l] * g[x][2]);
            }
    }
}

CLONES static void any_panel(const weights_job *j, size_t index) {
    if (j->panel == 32) panel_weights(j, index, 32);
    else panel_weights(j, index, 16);
}

static void weights_task(void *context, size_t slot, size_t index) {
    (void)slot;
    any_panel(context, index);
}

void graft_winograd_weights(
    const graft_winograd *w, size_t block, const float *weights, int reversed, float *u) {
    weights_job j = {w, 2 * block, weights, reversed, u};
    graft_parallel_slots(w->outputs / j.panel, w->threads, weights_task, &j);
}

void graft_winograd_run(
    const graft_winograd *w, size_t block, const float *x, const float *u, const float *bias,
    float *y, float *scratch) {
    const size_t m = (size_t)w->m;
    job j = {.w = w, .x = x, .u = u, .bias = bias, .y = y, .scratch = scratch,
             .scratch_count = graft_winograd_scratch_count(w, block),
             .total = w->n * ((w->out_height + m - 1) / m) * ((w->out_width + m - 1) / m)};
    const size_t blocks = (j.total + w->tiles - 1) / w->tiles;
#ifdef HAS_KERNELS
    graft_parallel_slots(blocks * w->splits, w->threads, block == 16 ? avx512_task : avx2_task, &j);
#else
    (void)blocks;
#endif
}
