// Loops over values of any rank, row-major: copies by tables of places, weighted sums along an axis, reductions,
// functions of numbers, and normalisation by rows, each with its gradient.
#ifndef GRAFT_AXES_H
#define GRAFT_AXES_H

#include <stddef.h>
#include <stdint.h>

// y[i0, i1, …] = x[p0[i0] + p1[i1] + …]: a slice, a repetition, a transposition, a mirror. `places` holds the
// table of each axis, one after another; a place of −1 gives `value`. y is row-major of `rank` (1 or more) axes.
typedef struct {
    size_t rank;
    const size_t *size;
    const int64_t *places;
    float value;
} graft_places;
void graft_take(const graft_places *p, const float *x, float *y, size_t threads);
// Its gradient: dx[places…] += dy[i0, i1, …], in one order whatever the number of threads. dx is cleared first.
void graft_put(const graft_places *p, const float *dy, float *dx, size_t x_count);

// Along the middle axis of (outer, in, inner): y[o, j, i] = Σ weights[k] · x[o, sources[k], i] for k in
// first[j] ..< first[j + 1].
typedef struct {
    size_t outer, in, out, inner;
    const int32_t *first, *sources;
    const float *weights;
} graft_taps;
void graft_weighted(const graft_taps *t, const float *x, float *y, size_t threads);

// One number for each of `outer` × `inner`, of the `count` numbers x[o, ·, i] of (outer, count, inner).
enum { GRAFT_SUM, GRAFT_MEAN, GRAFT_MAXIMUM, GRAFT_MINIMUM, GRAFT_PRODUCT };
void graft_reduce(
    int function, size_t outer, size_t count, size_t inner, const float *x, float *y, size_t threads);
// The gradient of a maximum or minimum y: shared by the numbers that equal it.
void graft_reduce_extreme_backward(
    size_t outer, size_t count, size_t inner, const float *x, const float *y, const float *dy, float *dx,
    size_t threads);

// y = f(x), and dx = f'(x) · dy.
enum {
    GRAFT_ABS, GRAFT_NEG, GRAFT_EXP, GRAFT_LOG, GRAFT_SQRT, GRAFT_RECIPROCAL, GRAFT_ERF, GRAFT_SIGN,
    GRAFT_FLOOR, GRAFT_CEIL, GRAFT_ROUND, GRAFT_SIN, GRAFT_COS, GRAFT_TAN, GRAFT_ASIN, GRAFT_ACOS, GRAFT_ATAN,
    GRAFT_SINH, GRAFT_COSH, GRAFT_ASINH, GRAFT_ACOSH, GRAFT_ATANH
};
void graft_map(int function, size_t count, const float *x, float *y, size_t threads);
void graft_map_backward(int function, size_t count, const float *x, const float *dy, float *dx, size_t threads);

// z = f(a, b) with b, of `b_count` numbers, over and over; and the gradients of a and b where b is as long as a.
// Either gradient may be null.
// MODULO has the sign of b and REMAINDER that of a.
enum {
    GRAFT_SUBTRACT, GRAFT_DIVIDE, GRAFT_POWER, GRAFT_LEAST, GRAFT_LARGEST, GRAFT_ADD, GRAFT_MULTIPLY,
    GRAFT_MODULO, GRAFT_REMAINDER
};
void graft_pair(
    int function, size_t count, const float *a, const float *b, size_t b_count, float *z, size_t threads);
void graft_pair_backward(
    int function, size_t count, const float *a, const float *b, const float *dz, float *da, float *db,
    size_t threads);

// Over x[o, ·, i] of (outer, count, inner): exp(x) / Σ exp(x), or its logarithm; and the gradient, from y.
void graft_softmax_axis(
    int is_log, size_t outer, size_t count, size_t inner, const float *x, float *y, size_t threads);
void graft_softmax_axis_backward(
    int is_log, size_t outer, size_t count, size_t inner, const float *y, const float *dy, float *dx,
    size_t threads);

// Each row of `size` numbers as (x − μ) / √(σ² + ε), times scale[c] plus shift[c]. Number k of row r has
// c = (r mod groups) · size / inner + k / inner, rounded down: for layer normalisation groups = 1 and inner = 1, for
// groups of channels of maps inner is the area.
typedef struct {
    size_t rows, size, groups, inner;
    float epsilon;
    const float *scale, *shift;
} graft_row_norm;
void graft_norm_rows(const graft_row_norm *n, const float *x, float *y, size_t threads);
// dx, and the gradients of scale and shift, which are added to and may be null.
void graft_norm_rows_backward(
    const graft_row_norm *n, const float *x, const float *dy, float *dx, float *scale, float *shift,
    size_t threads);

// x / (bias + alpha / size · Σ x²)^beta over the neighbouring channels of (outer, channels, inner), and its gradient.
typedef struct {
    size_t outer, channels, inner, size;
    float alpha, beta, bias;
} graft_neighbours;
void graft_neighbour_norm(const graft_neighbours *n, const float *x, float *y, size_t threads);
void graft_neighbour_norm_backward(
    const graft_neighbours *n, const float *x, const float *dy, float *dx, size_t threads);

#endif
