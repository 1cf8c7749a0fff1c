// Normalisation by rows, and by neighbouring channels, forward and backward. Sums are in double precision.
#include "CKernels.h"
#include <math.h>

typedef struct {
    const graft_row_norm *n;
    const float *x, *dy;
    float *out;
} row_job;

static size_t channel(const graft_row_norm *n, size_t row, size_t k) {
    return row % n->groups * (n->size / n->inner) + k / n->inner;
}

static void moments(const float *x, size_t count, double epsilon, double *mean, double *scale) {
    double sum = 0, squares = 0;
    for (size_t k = 0; k < count; k++) sum += x[k];
    *mean = sum / (double)count;
    for (size_t k = 0; k < count; k++) squares += (x[k] - *mean) * (x[k] - *mean);
    *scale = 1 / sqrt(squares / (double)count + epsilon);
}

static void row_task(void *context, size_t row) {
    const row_job *j = context;
    const graft_row_norm *n = j->n;
    const float *x = j->x + row * n->size;
    double mean, scale;
    moments(x, n->size, n->epsilon, &mean, &scale);
    for (size_t k = 0; k < n->size; k++) {
        const size_t c = channel(n, row, k);
        j->out[row * n->size + k] = (float)((x[k] - mean) * scale) * n->scale[c] + n->shift[c];
    }
}

void graft_norm_rows(const graft_row_norm *n, const float *x, float *y, size_t threads) {
    row_job job = {n, x, 0, y};
    graft_parallel(n->rows, threads, row_task, &job);
}

static void row_backward_task(void *context, size_t row) {
    const row_job *j = context;
    const graft_row_norm *n = j->n;
    const float *x = j->x + row * n->size, *dy = j->dy + row * n->size;
    double mean, scale, plain = 0, along = 0;
    moments(x, n->size, n->epsilon, &mean, &scale);
    for (size_t k = 0; k < n->size; k++) {
        const double g = (double)dy[k] * n->scale[channel(n, row, k)];
        plain += g;
        along += g * (x[k] - mean) * scale;
    }
    plain /= (double)n->size;
    along /= (double)n->size;
    for (size_t k = 0; k < n->size; k++) {
        const double g = (double)dy[k] * n->scale[channel(n, row, k)];
        j->out[row * n->size + k] = (float)(scale * (g - plain - (x[k] - mean) * scale * along));
    }
}

void graft_norm_rows_backward(
    const graft_row_norm *n, const float *x, const float *dy, float *dx, float *scale, float *shift,
    size_t threads) {
    row_job job = {n, x, dy, dx};
    graft_parallel(n->rows, threads, row_backward_task, &job);
    if (!scale && !shift) return;
    // One row after another: the sums do not depend on the number of threads.
    for (size_t row = 0; row < n->rows; row++) {
        const float *xs = x + row * n->size, *g = dy + row * n->size;
        double mean, factor;
        moments(xs, n->size, n->epsilon, &mean, &factor);
        for (size_t k = 0; k < n->size; k++) {
            const size_t c = channel(n, row, k);
            if (scale) scale[c] += g[k] * (float)((xs[k] - mean) * factor);
            if (shift) shift[c] += g[k];
        }
    }
}

typedef struct {
    const graft_neighbours *n;
    const float *x, *dy;
    float *out;
} neighbour_job;

// The channels whose squares count for channel `c`.
static void window(const graft_neighbours *n, size_t c, size_t *from, size_t *to) {
    const size_t before = (n->size - 1) / 2, after = n->size - 1 - before;
    *from = c > before ? c - before : 0;
    *to = c + after < n->channels ? c + after + 1 : n->channels;
}

static double base_of(const graft_neighbours *n, const float *x, size_t c) {
    size_t from, to;
    window(n, c, &from, &to);
    double sum = 0;
    for (size_t k = from; k < to; k++) sum += (double)x[k * n->inner] * x[k * n->inner];
    return n->bias + (double)n->alpha / (double)n->size * sum;
}

static void neighbour_task(void *context, size_t index) {
    const neighbour_job *j = context;
    const graft_neighbours *n = j->n;
    const size_t at = index / n->inner * n->channels * n->inner + index % n->inner;
    for (size_t c = 0; c < n->channels; c++)
        j->out[at + c * n->inner] =
            (float)(j->x[at + c * n->inner] * pow(base_of(n, j->x + at, c), -n->beta));
}

void graft_neighbour_norm(const graft_neighbours *n, const float *x, float *y, size_t threads) {
    neighbour_job job = {n, x, 0, y};
    graft_parallel(n->outer * n->inner, threads, neighbour_task, &job);
}

// y[c] = x[c] s[c]^-β: dx[k] = dy[k] s[k]^-β − 2 α β / size · x[k] Σ_c dy[c] x[c] s[c]^(-β-1) over the c that see k.
static void neighbour_backward_task(void *context, size_t index) {
    const neighbour_job *j = context;
    const graft_neighbours *n = j->n;
    const size_t at = index / n->inner * n->channels * n->inner + index % n->inner;
    const float *x = j->x + at, *dy = j->dy + at;
    for (size_t k = 0; k < n->channels; k++) j->out[at + k * n->inner] = 0;
    for (size_t c = 0; c < n->channels; c++) {
        const double s = base_of(n, x, c), power = pow(s, -n->beta);
        const double common = 2.0 * n->alpha * n->beta / (double)n->size * dy[c * n->inner]
            * x[c * n->inner] * power / s;
        j->out[at + c * n->inner] += (float)(dy[c * n->inner] * power);
        size_t from, to;
        window(n, c, &from, &to);
        for (size_t k = from; k < to; k++)
            j->out[at + k * n->inner] -= (float)(common * x[k * n->inner]);
    }
}

void graft_neighbour_norm_backward(
    const graft_neighbours *n, const float *x, const float *dy, float *dx, size_t threads) {
    neighbour_job job = {n, x, dy, dx};
    graft_parallel(n->outer * n->inner, threads, neighbour_backward_task, &job);
}
