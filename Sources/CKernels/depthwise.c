// The gradient of a depthwise convolution's weights, which oneDNN computes by a matrix product for each
// channel where the kernel is wider than three: dw[i][j] = Σ x[s·y + d·i - top][s·x + d·j - left] · dy[y][x].
// Every sample and block of channels is a task with sums of its own, added at the end by one.
#include "CKernels.h"
#include "clones.h"

#define INLINE static inline __attribute__((always_inline))

typedef struct {
    const graft_depthwise *w;
    const float *x, *dy;
    float *sums;
    size_t count, blocks;
} job;

// The outputs of one axis, [from, to), whose input lies inside of the map for tap `tap`.
INLINE void inside(
    size_t size, size_t outputs, size_t stride, ptrdiff_t start, size_t *from, size_t *to) {
    const ptrdiff_t s = (ptrdiff_t)stride, n = (ptrdiff_t)size;
    const ptrdiff_t first = start >= 0 ? 0 : (-start + s - 1) / s;
    const ptrdiff_t last = start >= n ? 0 : (n - 1 - start) / s + 1;
    *to = last < (ptrdiff_t)outputs ? (size_t)last : outputs;
    *from = first < (ptrdiff_t)*to ? (size_t)first : *to;
}

// One task for blocks of V channels and rows of K taps: K sums stay in registers along a row of outputs.
#define TASK(V, K)                                                                                 \
    INLINE void task_##V##_##K(const job *j, const float *x, const float *dy, float *sums) {       \
        typedef float vf __attribute__((vector_size(V * 4), aligned(4), may_alias));               \
        const graft_depthwise *w = j->w;                                                           \
        const ptrdiff_t px = (ptrdiff_t)w->x.pixel, py = (ptrdiff_t)w->y.pixel;                    \
        size_t from[K], to[K], low = 0, high = w->out_width;                                       \
        for (size_t k = 0; k < K; k++) {                                                           \
            const ptrdiff_t start = (ptrdiff_t)(k * w->dilation_w) - (ptrdiff_t)w->left;           \
            inside(w->width, w->out_width, w->stride_w, start, &from[k], &to[k]);                  \
            low = from[k] > low ? from[k] : low;                                                   \
            high = to[k] < high ? to[k] : high;                                                    \
        }                                                                                          \
        if (low > high) low = high = w->out_width;                                                 \
        for (size_t i = 0; i < w->kernel_h; i++) {                                                 \
            const ptrdiff_t above = (ptrdiff_t)(i * w->dilation_h) - (ptrdiff_t)w->top;            \
            size_t first, last;                                                                    \
            inside(w->height, w->out_height, w->stride_h, above, &first, &last);                   \
            vf sum[K] = {};                                                                        \
            for (size_t row = first; row < last; row++) {                                          \
                const ptrdiff_t line = (ptrdiff_t)(row * w->stride_h) + above;                     \
                const ptrdiff_t in = (line * (ptrdiff_t)w->width - (ptrdiff_t)w->left) * px;       \
                const float *g = dy + (ptrdiff_t)(row * w->out_width) * py;                        \
                const ptrdiff_t step = (ptrdiff_t)w->stride_w * px;                                \
                const ptrdiff_t tap = (ptrdiff_t)w->dilation_w * px;                               \
                for (size_t o = low; o < high; o++) {                                              \
                    const vf d = *(const vf *)(g + (ptrdiff_t)o * py);                             \
                    const ptrdiff_t at = in + (ptrdiff_t)o * step;                                 \
                    _Pragma("clang loop unroll(full)") for (int k = 0; k < K; k++)                 \
                        sum[k] += d * *(const vf *)(x + (at + k * tap));                           \
                }                                                                                  \
                _Pragma("clang loop unroll(full)") for (int k = 0; k < K; k++) {                   \
                    for (size_t o = from[k]; o < to[k]; o++) {                                     \
                        if (o == low && low < high) o = high;                                      \
                        if (o >= to[k]) break;                                                     \
                        sum[k] += *(const vf *)(g + (ptrdiff_t)o * py)                             \
                            * *(const vf *)(x + (in + (ptrdiff_t)o * step + k * tap));             \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
            for (int k = 0; k < K; k++) *(vf *)(sums + (i * K + (size_t)k) * V) = sum[k];          \
        }                                                                                          \
        vf total = {};                                                                             \
        const size_t area = w->out_height * w->out_width;                                          \
        for (size_t o = 0; o < area; o++) total += *(const vf *)(dy + (ptrdiff_t)o * py);          \
        *(vf *)(sums + w->kernel_h * K * V) = total;                                               \
    }
TASK(8, 3)
TASK(8, 5)
TASK(8, 7)
TASK(16, 3)
TASK(16, 5)
TASK(16, 7)

CLONES static void run(const job *j, size_t index) {
    const graft_depthwise *w = j->w;
    const size_t n = index / j->blocks, b = index % j->blocks;
    const float *x = j->x + n * w->x.batch + b * w->x.block;
    const float *dy = j->dy + n * w->y.batch + b * w->y.block;
    float *sums = j->sums + index * j->count;
    if (w->block == 8 && w->kernel_w == 3) task_8_3(j, x, dy, sums);
    if (w->block == 8 && w->kernel_w == 5) task_8_5(j, x, dy, sums);
    if (w->block == 8 && w->kernel_w == 7) task_8_7(j, x, dy, sums);
    if (w->block == 16 && w->kernel_w == 3) task_16_3(j, x, dy, sums);
    if (w->block == 16 && w->kernel_w == 5) task_16_5(j, x, dy, sums);
    if (w->block == 16 && w->kernel_w == 7) task_16_7(j, x, dy, sums);
}

static void task(void *context, size_t index) { run(context, index); }

static size_t blocks(const graft_depthwise *w) { return (w->channels + w->block - 1) / w->block; }
static size_t count(const graft_depthwise *w) { return (w->kernel_h * w->kernel_w + 1) * w->block; }

int graft_depthwise_fits(const graft_depthwise *w) {
    return (w->block == 8 || w->block == 16)
        && (w->kernel_w == 3 || w->kernel_w == 5 || w->kernel_w == 7);
}

size_t graft_depthwise_sums_count(const graft_depthwise *w) {
    return w->n * blocks(w) * count(w);
}

void graft_depthwise_weights(
    const graft_depthwise *w, const float *x, const float *dy, float *dw, float *bias,
    float *sums) {
    job j = {.w = w, .x = x, .dy = dy, .sums = sums, .count = count(w), .blocks = blocks(w)};
    graft_parallel(w->n * j.blocks, 0, task, &j);
    const size_t taps = w->kernel_h * w->kernel_w;
    for (size_t c = 0; c < w->channels; c++)
        for (size_t k = 0; k <= taps; k++) {
            double total = 0;
            for (size_t n = 0; n < w->n; n++)
                total += sums[(n * j.blocks + c / w->block) * j.count + k * w->block + c % w->block];
            if (k < taps) dw[c * taps + k] = (float)total;
            else if (bias) bias[c] = (float)total;
        }
}
