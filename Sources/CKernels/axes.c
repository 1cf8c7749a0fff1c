// Copies, weighted sums and reductions over values of any rank, row-major.
#include "CKernels.h"
#include "clones.h"
#include <math.h>
#include <string.h>

// The numbers of a task: enough that handing it out costs nothing.
#define GRAIN 16384

static size_t tasks(size_t count, size_t size) {
    const size_t each = size ? (GRAIN + size - 1) / size : 1;
    return each ? (count + each - 1) / each : 0;
}

// The range of task `i` of `n` over `count`.
static void range(size_t i, size_t n, size_t count, size_t *from, size_t *to) {
    *from = count / n * i + (i < count % n ? i : count % n);
    *to = *from + count / n + (i < count % n ? 1 : 0);
}

typedef struct {
    const graft_places *p;
    const float *x;
    float *y;
    size_t rows, length, n;
    int is_run; // the places of the last axis follow one another
} take_job;

static size_t row_count(const graft_places *p) {
    size_t rows = 1;
    for (size_t axis = 0; axis + 1 < p->rank; axis++) rows *= p->size[axis];
    return rows;
}

// The table of the last axis.
static const int64_t *last_places(const graft_places *p) {
    const int64_t *table = p->places;
    for (size_t axis = 0; axis + 1 < p->rank; axis++) table += p->size[axis];
    return table;
}

// The place of a row, or −1: all axes but the last.
static int64_t row_place(const graft_places *p, const int64_t *last, size_t row) {
    int64_t at = 0;
    const int64_t *table = last;
    for (size_t axis = p->rank - 1; axis-- > 0;) {
        const size_t size = p->size[axis];
        table -= size;
        const int64_t place = table[row % size];
        if (place < 0) return -1;
        at += place;
        row /= size;
    }
    return at;
}

static int is_run(const graft_places *p) {
    const int64_t *last = last_places(p);
    for (size_t i = 0; i < p->size[p->rank - 1]; i++)
        if (last[0] < 0 || last[i] != last[0] + (int64_t)i) return 0;
    return 1;
}

static void take_task(void *context, size_t index) {
    const take_job *j = context;
    const int64_t *last = last_places(j->p);
    size_t from, to;
    range(index, j->n, j->rows, &from, &to);
    for (size_t row = from; row < to; row++) {
        const int64_t at = row_place(j->p, last, row);
        float *y = j->y + row * j->length;
        if (at < 0)
            for (size_t i = 0; i < j->length; i++) y[i] = j->p->value;
        else if (j->is_run)
            memcpy(y, j->x + at + last[0], j->length * sizeof(float));
        else
            for (size_t i = 0; i < j->length; i++) y[i] = last[i] < 0 ? j->p->value : j->x[at + last[i]];
    }
}

void graft_take(const graft_places *p, const float *x, float *y, size_t threads) {
    const size_t rows = row_count(p);
    const size_t length = p->size[p->rank - 1];
    take_job job = {p, x, y, rows, length, tasks(rows, length), is_run(p)};
    graft_parallel(job.n, threads, take_task, &job);
}

void graft_put(const graft_places *p, const float *dy, float *dx, size_t x_count) {
    memset(dx, 0, x_count * sizeof(float));
    const size_t rows = row_count(p);
    const size_t length = p->size[p->rank - 1];
    const int64_t *last = last_places(p);
    for (size_t row = 0; row < rows; row++) {
        const int64_t at = row_place(p, last, row);
        if (at < 0) continue;
        for (size_t i = 0; i < length; i++)
            if (last[i] >= 0) dx[at + last[i]] += dy[row * length + i];
    }
}

typedef struct {
    const graft_taps *t;
    const float *x;
    float *y;
    size_t n;
} taps_job;

CLONES static void taps_task(void *context, size_t index) {
    const taps_job *j = context;
    const graft_taps *t = j->t;
    size_t from, to;
    range(index, j->n, t->outer * t->out, &from, &to);
    for (size_t row = from; row < to; row++) {
        const size_t o = row / t->out, k = row % t->out;
        float *y = j->y + row * t->inner;
        const float *x = j->x + o * t->in * t->inner;
        memset(y, 0, t->inner * sizeof(float));
        for (int32_t tap = t->first[k]; tap < t->first[k + 1]; tap++) {
            const float *source = x + (size_t)t->sources[tap] * t->inner;
            const float weight = t->weights[tap];
            for (size_t i = 0; i < t->inner; i++) y[i] += weight * source[i];
        }
    }
}

void graft_weighted(const graft_taps *t, const float *x, float *y, size_t threads) {
    taps_job job = {t, x, y, tasks(t->outer * t->out, t->inner)};
    graft_parallel(job.n, threads, taps_task, &job);
}

typedef struct {
    int function;
    size_t outer, count, inner, n;
    const float *x, *y, *dy;
    float *out;
} reduce_job;

// The first of the numbers along the axis that belong to number `at` of (outer, inner).
static size_t first_of(const reduce_job *j, size_t at) {
    return at / j->inner * j->count * j->inner + at % j->inner;
}

static float reduced(int function, const float *x, size_t count, size_t stride) {
    double sum = 0, product = 1;
    float extreme = x[0];
    switch (function) {
    case GRAFT_SUM:
    case GRAFT_MEAN:
        for (size_t k = 0; k < count; k++) sum += x[k * stride];
        return (float)(function == GRAFT_SUM ? sum : sum / (double)count);
    case GRAFT_PRODUCT:
        for (size_t k = 0; k < count; k++) product *= x[k * stride];
        return (float)product;
    default: // NaN stays.
        for (size_t k = 1; k < count; k++) {
            const float v = x[k * stride];
            if (v != v || (function == GRAFT_MAXIMUM ? v > extreme : v < extreme)) extreme = v;
            if (extreme != extreme) break;
        }
        return extreme;
    }
}

static void reduce_task(void *context, size_t index) {
    const reduce_job *j = context;
    size_t from, to;
    range(index, j->n, j->outer * j->inner, &from, &to);
    for (size_t at = from; at < to; at++) {
        const size_t base = first_of(j, at);
        j->out[at] = reduced(j->function, j->x + base, j->count, j->inner);
    }
}

void graft_reduce(
    int function, size_t outer, size_t count, size_t inner, const float *x, float *y, size_t threads) {
    reduce_job job = {function, outer, count, inner, tasks(outer * inner, count), x, NULL, NULL, y};
    graft_parallel(job.n, threads, reduce_task, &job);
}

static void extreme_task(void *context, size_t index) {
    const reduce_job *j = context;
    size_t from, to;
    range(index, j->n, j->outer * j->inner, &from, &to);
    for (size_t at = from; at < to; at++) {
        const size_t base = first_of(j, at);
        size_t equal = 0;
        for (size_t k = 0; k < j->count; k++) equal += j->x[base + k * j->inner] == j->y[at];
        for (size_t k = 0; k < j->count; k++)
            j->out[base + k * j->inner] =
                j->x[base + k * j->inner] == j->y[at] ? j->dy[at] / (float)equal : 0;
    }
}

void graft_reduce_extreme_backward(
    size_t outer, size_t count, size_t inner, const float *x, const float *y, const float *dy, float *dx,
    size_t threads) {
    reduce_job job = {0, outer, count, inner, tasks(outer * inner, count), x, y, dy, dx};
    graft_parallel(job.n, threads, extreme_task, &job);
}

static void softmax_task(void *context, size_t index) {
    const reduce_job *j = context;
    size_t from, to;
    range(index, j->n, j->outer * j->inner, &from, &to);
    for (size_t at = from; at < to; at++) {
        const size_t base = first_of(j, at);
        float largest = -INFINITY;
        for (size_t k = 0; k < j->count; k++) {
            const float v = j->x[base + k * j->inner];
            if (v > largest) largest = v;
        }
        double sum = 0;
        for (size_t k = 0; k < j->count; k++) {
            const float e = expf(j->x[base + k * j->inner] - largest);
            j->out[base + k * j->inner] = e;
            sum += e;
        }
        const float scale = (float)(1 / sum), shift = largest + (float)log(sum);
        for (size_t k = 0; k < j->count; k++) {
            float *y = &j->out[base + k * j->inner];
            *y = j->function ? j->x[base + k * j->inner] - shift : *y * scale;
        }
    }
}

void graft_softmax_axis(
    int is_log, size_t outer, size_t count, size_t inner, const float *x, float *y, size_t threads) {
    reduce_job job = {is_log, outer, count, inner, tasks(outer * inner, count), x, NULL, NULL, y};
    graft_parallel(job.n, threads, softmax_task, &job);
}

static void softmax_backward_task(void *context, size_t index) {
    const reduce_job *j = context;
    size_t from, to;
    range(index, j->n, j->outer * j->inner, &from, &to);
    for (size_t at = from; at < to; at++) {
        const size_t base = first_of(j, at);
        double sum = 0;
        for (size_t k = 0; k < j->count; k++) {
            const size_t i = base + k * j->inner;
            sum += j->function ? (double)j->dy[i] : (double)j->dy[i] * j->y[i];
        }
        for (size_t k = 0; k < j->count; k++) {
            const size_t i = base + k * j->inner;
            j->out[i] = j->function ? (float)(j->dy[i] - exp((double)j->y[i]) * sum)
                                    : (float)(j->y[i] * (j->dy[i] - sum));
        }
    }
}

void graft_softmax_axis_backward(
    int is_log, size_t outer, size_t count, size_t inner, const float *y, const float *dy, float *dx,
    size_t threads) {
    reduce_job job = {is_log, outer, count, inner, tasks(outer * inner, count), NULL, y, dy, dx};
    graft_parallel(job.n, threads, softmax_backward_task, &job);
}
