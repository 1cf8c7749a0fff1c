// What a training step does besides products: masks of activations, BatchNorm's gradients with
// running statistics, and BatchNorm folded into weights and out of their gradients again. Every
// thread has sums of its own, added at the end by one: nobody waits for anybody inside a loop.
#include "CKernels.h"
#include "clones.h"

// How many floats a task has at least, so that starting it costs little beside it.
enum { TASK = 1 << 14 };

typedef struct {
    size_t count, n;
    const float *const *parts;
    const float *y;
    float lower, upper;
    float *z;
} mask_job;

CLONES static void masked(const mask_job *j, size_t from, size_t to) {
    const float *y = j->y, *a = j->parts[0], lower = j->lower, upper = j->upper;
    float *z = j->z;
    if (j->n == 1) {
        for (size_t i = from; i < to; i++) z[i] = y[i] > lower && y[i] < upper ? a[i] : 0;
        return;
    }
    const float *b = j->parts[1];
    if (j->n == 2) {
        for (size_t i = from; i < to; i++) z[i] = y[i] > lower && y[i] < upper ? a[i] + b[i] : 0;
        return;
    }
    for (size_t i = from; i < to; i++) {
        float sum = a[i] + b[i];
        for (size_t p = 2; p < j->n; p++) sum += j->parts[p][i];
        z[i] = y[i] > lower && y[i] < upper ? sum : 0;
    }
}

static void mask_task(void *context, size_t index) {
    const mask_job *j = context;
    const size_t from = index * TASK, to = from + TASK;
    masked(j, from, to < j->count ? to : j->count);
}

void graft_masked_sum(
    size_t count, const float *const *parts, size_t n, const float *y, float lower, float upper,
    float *z) {
    mask_job j = {count, n, parts, y, lower, upper, z};
    graft_parallel((count + TASK - 1) / TASK, 0, mask_task, &j);
}

typedef struct {
    graft_layout l;
    const float *x, *dy, *y, *scale, *mean;
    float lower, upper;
    float *dx, *sums;
    size_t blocks, parts;
} affine_job;

CLONES static void affine_backward(
    const float *x, const float *dy, const float *y, size_t pixel, size_t area, size_t block,
    const float *scale, const float *mean, float lower, float upper, float *dx, float *sums) {
    float *products = sums, *plain = sums + block;
    if (block == 1) {
        float p = 0, s = 0;
        for (size_t i = 0; i < area; i++) {
            const float g = !y || (y[i] > lower && y[i] < upper) ? dy[i] : 0;
            p += g * (x[i] - mean[0]);
            s += g;
            if (dx) dx[i] = g * scale[0];
        }
        products[0] = p;
        plain[0] = s;
        return;
    }
    for (size_t c = 0; c < 2 * block; c++) sums[c] = 0;
    for (size_t i = 0; i < area; i++) {
        const size_t at = i * pixel;
        for (size_t c = 0; c < block; c++) {
            const float g =
                !y || (y[at + c] > lower && y[at + c] < upper) ? dy[at + c] : 0;
            products[c] += g * (x[at + c] - mean[c]);
            plain[c] += g;
            if (dx) dx[at + c] = g * scale[c];
        }
    }
}

// The floats before part `index` of a map, and its places.
static size_t part_start(const affine_job *j, size_t index, size_t *area) {
    const size_t part = index % j->parts, b = index / j->parts % j->blocks;
    const size_t first = j->l.area * part / j->parts;
    *area = j->l.area * (part + 1) / j->parts - first;
    return index / j->parts / j->blocks * j->l.batch_stride + b * j->l.area * j->l.block
        + first * j->l.pixel;
}

static void affine_task(void *context, size_t index) {
    const affine_job *j = context;
    size_t area;
    const size_t at = part_start(j, index, &area), block = j->l.block;
    const size_t c = index / j->parts % j->blocks * block;
    affine_backward(
        j->x + at, j->dy + at, j->y ? j->y + at : NULL, j->l.pixel, area, block, j->scale + c,
        j->mean + c, j->lower, j->upper, j->dx ? j->dx + at : NULL, j->sums + index * 2 * block);
}

static void affine_divide(affine_job *j) {
    j->blocks = (j->l.channels + j->l.block - 1) / j->l.block;
    j->parts = j->l.area * j->l.block / TASK;
    if (!j->parts) j->parts = 1;
    if (j->parts > j->l.area) j->parts = j->l.area;
}

size_t graft_affine_sums_count(graft_layout l) {
    affine_job j = {.l = l};
    affine_divide(&j);
    return l.n * j.blocks * j.parts * 2 * l.block;
}

void graft_channel_affine_backward(
    graft_layout l, const float *x, const float *dy, const float *y, float lower, float upper,
    const float *scale, const float *mean, float *dx, float *products, float *plain,
    float *sums) {
    affine_job j = {.l = l, .x = x, .dy = dy, .y = y, .scale = scale, .mean = mean,
                    .lower = lower, .upper = upper, .dx = dx, .sums = sums};
    affine_divide(&j);
    graft_parallel(l.n * j.blocks * j.parts, 0, affine_task, &j);
    for (size_t c = 0; c < l.channels; c++) {
        const size_t b = c / l.block, in = c % l.block;
        double p = 0, s = 0;
        for (size_t n = 0; n < l.n; n++)
            for (size_t part = 0; part < j.parts; part++) {
                const float *own = sums + ((n * j.blocks + b) * j.parts + part) * 2 * l.block;
                p += own[in];
                s += own[l.block + in];
            }
        products[c] = (float)p;
        plain[c] = (float)s;
    }
}

// The means of a part and the sums of squares about them: two passes over what the cache still has.
CLONES static void moments(
    const float *x, size_t pixel, size_t area, size_t block, float *mean, float *squares) {
    for (size_t c = 0; c < block; c++) mean[c] = squares[c] = 0;
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < block; c++) mean[c] += x[i * pixel + c];
    for (size_t c = 0; c < block; c++) mean[c] /= (float)area;
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < block; c++) {
            const float d = x[i * pixel + c] - mean[c];
            squares[c] += d * d;
        }
}

static void moments_task(void *context, size_t index) {
    const affine_job *j = context;
    size_t area;
    const size_t at = part_start(j, index, &area);
    float *own = j->sums + index * 2 * j->l.block;
    moments(j->x + at, j->l.pixel, area, j->l.block, own, own + j->l.block);
}

void graft_channel_moments(graft_layout l, const float *x, float *mean, float *variance, float *sums) {
    affine_job j = {.l = l, .x = x, .sums = sums};
    affine_divide(&j);
    graft_parallel(l.n * j.blocks * j.parts, 0, moments_task, &j);
    const double total = (double)l.n * (double)l.area;
    for (size_t c = 0; c < l.channels; c++) {
        const size_t b = c / l.block, in = c % l.block;
        double center = 0, spread = 0;
        // Of all parts their means first; then what each is away from the common one (Chan et al. 1983).
        for (int pass = 0; pass < 2; pass++) {
            for (size_t n = 0; n < l.n; n++)
                for (size_t part = 0; part < j.parts; part++) {
                    const size_t index = (n * j.blocks + b) * j.parts + part;
                    const float *own = sums + index * 2 * l.block;
                    size_t area;
                    part_start(&j, index, &area);
                    const double off = own[in] - center;
                    if (pass) spread += own[l.block + in] + (double)area * off * off;
                    else center += (double)area * own[in] / total;
                }
        }
        mean[c] = (float)center;
        variance[c] = (float)(spread / total);
    }
}

CLONES static void combine(
    const float *a, const float *b, size_t pixel, size_t area, size_t block, const float *of_a,
    const float *of_b, const float *shift, float *z) {
    if (block == 1) {
        const float p = of_a[0], q = of_b[0], r = shift[0];
        for (size_t i = 0; i < area; i++) z[i] = p * a[i] + (q * b[i] + r);
        return;
    }
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < block; c++) {
            const size_t at = i * pixel + c;
            z[at] = of_a[c] * a[at] + (of_b[c] * b[at] + shift[c]);
        }
}

typedef struct {
    affine_job j;
    const float *of_b, *shift;
} combine_job;

static void combine_task(void *context, size_t index) {
    const combine_job *job = context;
    const affine_job *j = &job->j;
    size_t area;
    const size_t at = part_start(j, index, &area);
    const size_t c = index / j->parts % j->blocks * j->l.block;
    combine(
        j->dy + at, j->x + at, j->l.pixel, area, j->l.block, j->scale + c, job->of_b + c, job->shift + c,
        j->dx + at);
}

void graft_channel_combine(
    graft_layout l, const float *a, const float *of_a, const float *b, const float *of_b, const float *shift,
    float *z) {
    combine_job job = {.j = {.l = l, .dy = a, .scale = of_a, .x = b, .dx = z}, .of_b = of_b, .shift = shift};
    affine_divide(&job.j);
    graft_parallel(l.n * job.j.blocks * job.j.parts, 0, combine_task, &job);
}

typedef struct {
    const float *a, *b, *factors;
    size_t size;
    float *out, *dots;
} rows_job;

CLONES static void scaled_row(const float *a, size_t size, float factor, float *out) {
    for (size_t i = 0; i < size; i++) out[i] = a[i] * factor;
}

// In sixteen sums, so that none of them gets long.
CLONES static float row_product(const float *a, const float *b, size_t size) {
    float sums[16] = {0};
    size_t i = 0;
    for (; i + 16 <= size; i += 16)
        for (int l = 0; l < 16; l++) sums[l] += a[i + (size_t)l] * b[i + (size_t)l];
    double total = 0;
    for (; i < size; i++) total += (double)a[i] * b[i];
    for (int l = 0; l < 16; l++) total += sums[l];
    return (float)total;
}

static void fold_task(void *context, size_t r) {
    const rows_job *j = context;
    scaled_row(j->a + r * j->size, j->size, j->factors[r], j->out + r * j->size);
}

void graft_fold_rows(
    const float *weights, size_t rows, size_t size, const float *factors, float *folded) {
    rows_job j = {.a = weights, .factors = factors, .size = size, .out = folded};
    graft_parallel(rows, 0, fold_task, &j);
}

static void unfold_task(void *context, size_t r) {
    const rows_job *j = context;
    const float *gradient = j->a + r * j->size;
    if (j->dots) j->dots[r] = row_product(gradient, j->b + r * j->size, j->size);
    if (j->out) scaled_row(gradient, j->size, j->factors[r], j->out + r * j->size);
}

void graft_unfold_rows(
    const float *gradient, const float *weights, size_t rows, size_t size, const float *factors,
    float *out, float *dots) {
    rows_job j = {.a = gradient, .b = weights, .factors = factors, .size = size, .out = out,
                  .dots = dots};
    graft_parallel(rows, 0, unfold_task, &j);
}
