// Functions of one number and of two, and their derivatives.
#include "CKernels.h"
#include "clones.h"
#include <math.h>

#define GRAIN 16384

typedef struct {
    int function;
    size_t count;
    const float *a, *b, *g;
    float *x, *y;
    size_t b_count;
} job;

static void bounds(const job *j, size_t index, size_t *from, size_t *to) {
    *from = index * GRAIN;
    *to = *from + GRAIN < j->count ? *from + GRAIN : j->count;
}

static size_t task_count(size_t count) { return (count + GRAIN - 1) / GRAIN; }

#define EACH(expression)                                                                           \
    for (size_t i = from; i < to; i++) {                                                           \
        const float v = j->a[i];                                                                   \
        (void)v;                                                                                   \
        j->x[i] = (expression);                                                                    \
    }                                                                                              \
    break;

CLONES static void map_task(void *context, size_t index) {
    const job *j = context;
    size_t from, to;
    bounds(j, index, &from, &to);
    switch (j->function) {
    case GRAFT_ABS: EACH(fabsf(v))
    case GRAFT_NEG: EACH(-v)
    case GRAFT_EXP: EACH(expf(v))
    case GRAFT_LOG: EACH(logf(v))
    case GRAFT_SQRT: EACH(sqrtf(v))
    case GRAFT_RECIPROCAL: EACH(1 / v)
    case GRAFT_ERF: EACH(erff(v))
    case GRAFT_SIGN: EACH(v != v ? v : (float)((v > 0) - (v < 0)))
    case GRAFT_FLOOR: EACH(floorf(v))
    case GRAFT_CEIL: EACH(ceilf(v))
    case GRAFT_ROUND: EACH(rintf(v)) // halves to even, the mode that programs start with
    case GRAFT_SIN: EACH(sinf(v))
    case GRAFT_COS: EACH(cosf(v))
    case GRAFT_TAN: EACH(tanf(v))
    case GRAFT_ASIN: EACH(asinf(v))
    case GRAFT_ACOS: EACH(acosf(v))
    case GRAFT_ATAN: EACH(atanf(v))
    case GRAFT_SINH: EACH(sinhf(v))
    case GRAFT_COSH: EACH(coshf(v))
    case GRAFT_ASINH: EACH(asinhf(v))
    case GRAFT_ACOSH: EACH(acoshf(v))
    case GRAFT_ATANH: EACH(atanhf(v))
    default: break;
    }
}

void graft_map(int function, size_t count, const float *x, float *y, size_t threads) {
    job j = {function, count, x, 0, 0, y, 0, 0};
    graft_parallel(task_count(count), threads, map_task, &j);
}

#define SLOPE(expression) EACH(j->g[i] * (expression))

CLONES static void slope_task(void *context, size_t index) {
    const job *j = context;
    size_t from, to;
    bounds(j, index, &from, &to);
    switch (j->function) {
    case GRAFT_ABS: SLOPE((float)((v > 0) - (v < 0)))
    case GRAFT_NEG: SLOPE(-1.0f)
    case GRAFT_EXP: SLOPE(expf(v))
    case GRAFT_LOG: SLOPE(1 / v)
    case GRAFT_SQRT: SLOPE(0.5f / sqrtf(v))
    case GRAFT_RECIPROCAL: SLOPE(-1 / (v * v))
    case GRAFT_ERF: SLOPE(1.1283791670955126f * expf(-v * v)) // 2 / √π
    case GRAFT_SIGN:
    case GRAFT_FLOOR:
    case GRAFT_CEIL:
    case GRAFT_ROUND: SLOPE(0.0f)
    case GRAFT_SIN: SLOPE(cosf(v))
    case GRAFT_COS: SLOPE(-sinf(v))
    case GRAFT_TAN: SLOPE(1 + tanf(v) * tanf(v))
    case GRAFT_ASIN: SLOPE(1 / sqrtf(1 - v * v))
    case GRAFT_ACOS: SLOPE(-1 / sqrtf(1 - v * v))
    case GRAFT_ATAN: SLOPE(1 / (1 + v * v))
    case GRAFT_SINH: SLOPE(coshf(v))
    case GRAFT_COSH: SLOPE(sinhf(v))
    case GRAFT_ASINH: SLOPE(1 / sqrtf(v * v + 1))
    case GRAFT_ACOSH: SLOPE(1 / sqrtf(v * v - 1))
    case GRAFT_ATANH: SLOPE(1 / (1 - v * v))
    default: break;
    }
}

void graft_map_backward(int function, size_t count, const float *x, const float *dy, float *dx, size_t threads) {
    job j = {function, count, x, 0, dy, dx, 0, 0};
    graft_parallel(task_count(count), threads, slope_task, &j);
}

static inline float modulo(float a, float b) {
    const float rest = fmodf(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

// Runs of b, which may be shorter than a task.
#define BOTH(expression)                                                                           \
    for (size_t start = from; start < to;) {                                                       \
        const size_t at = start % j->b_count;                                                      \
        const size_t run = j->b_count - at < to - start ? j->b_count - at : to - start;            \
        const float *as = j->a + start, *bs = j->b + at;                                           \
        float *z = j->x + start;                                                                   \
        for (size_t i = 0; i < run; i++) {                                                         \
            const float a = as[i], b = bs[i];                                                      \
            z[i] = (expression);                                                                   \
        }                                                                                          \
        start += run;                                                                              \
    }                                                                                              \
    break;

// One number for all.
#define EVERY(expression)                                                                          \
    for (size_t i = from; i < to; i++) {                                                           \
        const float a = j->a[i], b = j->b[0];                                                      \
        j->x[i] = (expression);                                                                    \
    }                                                                                              \
    break;

#define FUNCTIONS(FORM)                                                                            \
    switch (j->function) {                                                                         \
    case GRAFT_SUBTRACT: FORM(a - b)                                                               \
    case GRAFT_DIVIDE: FORM(a / b)                                                                 \
    case GRAFT_POWER: FORM(b == 2 ? a * a : powf(a, b))                                            \
    case GRAFT_LEAST: FORM(a != a || a < b ? a : b)                                                \
    case GRAFT_LARGEST: FORM(a != a || a > b ? a : b)                                              \
    case GRAFT_ADD: FORM(a + b)                                                                    \
    case GRAFT_MULTIPLY: FORM(a * b)                                                               \
    case GRAFT_MODULO: FORM(modulo(a, b))                                                          \
    case GRAFT_REMAINDER: FORM(fmodf(a, b))                                                        \
    default: break;                                                                                \
    }

CLONES static void pair_task(void *context, size_t index) {
    const job *j = context;
    size_t from, to;
    bounds(j, index, &from, &to);
    if (j->b_count == 1) {
        FUNCTIONS(EVERY)
    } else {
        FUNCTIONS(BOTH)
    }
}

void graft_pair(
    int function, size_t count, const float *a, const float *b, size_t b_count, float *z, size_t threads) {
    if (!b_count) return;
    job j = {function, count, a, b, 0, z, 0, b_count};
    graft_parallel(task_count(count), threads, pair_task, &j);
}

#define SLOPES(of_a, of_b)                                                                         \
    for (size_t i = from; i < to; i++) {                                                           \
        const float a = j->a[i], b = j->b[i], g = j->g[i];                                         \
        (void)a, (void)b;                                                                          \
        if (j->x) j->x[i] = g * (of_a);                                                            \
        if (j->y) j->y[i] = g * (of_b);                                                            \
    }                                                                                              \
    break;

CLONES static void slopes_task(void *context, size_t index) {
    const job *j = context;
    size_t from, to;
    bounds(j, index, &from, &to);
    switch (j->function) {
    case GRAFT_SUBTRACT: SLOPES(1.0f, -1.0f)
    case GRAFT_DIVIDE: SLOPES(1 / b, -a / (b * b))
    // 0 where the base does not count; the exponent's slope is a^b ln a, of a > 0 alone.
    case GRAFT_POWER: SLOPES(b == 0 ? 0.0f : b * powf(a, b - 1), a > 0 ? powf(a, b) * logf(a) : 0.0f)
    // Equal numbers share it.
    case GRAFT_LEAST: SLOPES(a < b ? 1.0f : a == b ? 0.5f : 0.0f, b < a ? 1.0f : a == b ? 0.5f : 0.0f)
    case GRAFT_LARGEST: SLOPES(a > b ? 1.0f : a == b ? 0.5f : 0.0f, b > a ? 1.0f : a == b ? 0.5f : 0.0f)
    case GRAFT_ADD: SLOPES(1.0f, 1.0f)
    case GRAFT_MULTIPLY: SLOPES(b, a)
    case GRAFT_MODULO: SLOPES(1.0f, -floorf(a / b))
    case GRAFT_REMAINDER: SLOPES(1.0f, -truncf(a / b))
    default: break;
    }
}

void graft_pair_backward(
    int function, size_t count, const float *a, const float *b, const float *dz, float *da, float *db,
    size_t threads) {
    job j = {function, count, a, b, dz, da, db, 0};
    graft_parallel(task_count(count), threads, slopes_task, &j);
}
