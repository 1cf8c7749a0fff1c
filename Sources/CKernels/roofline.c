// What this machine can do at most: multiplications and additions, and bytes read from memory. The
// roofline of Williams, Waterman & Patterson 2009 (doi:10.1145/1498765.1498785).
#define _GNU_SOURCE
#include "CKernels.h"
#include "clones.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { ROUNDS = 1 << 14, CHAINS = 12 };

// CHAINS sums that do not wait for one another, of W floats each; the empty statement keeps the
// compiler from seeing that nobody wants them.
#define FMA_LOOP(NAME, W, ATTRIBUTES)                                                              \
    typedef float NAME##_v __attribute__((vector_size(W * 4)));                                    \
    ATTRIBUTES static double NAME(void) {                                                          \
        NAME##_v sum[CHAINS], a = {1.0f}, b = {0.5f};                                              \
        for (int c = 0; c < CHAINS; c++) sum[c] = (NAME##_v){(float)c};                            \
        for (int i = 0; i < ROUNDS; i++)                                                           \
            for (int c = 0; c < CHAINS; c++) {                                                     \
                sum[c] = a * sum[c] + b;                                                           \
                __asm__ volatile("" : "+" REGISTER(sum[c]));                                       \
            }                                                                                      \
        return 2.0 * W * CHAINS * ROUNDS;                                                          \
    }

#if defined(__x86_64__)
#define REGISTER(x) "v"(x)
FMA_LOOP(fma16, 16, __attribute__((target("avx512f,fma"))))
#undef REGISTER
#define REGISTER(x) "x"(x)
FMA_LOOP(fma8, 8, __attribute__((target("avx2,fma"))))
FMA_LOOP(fma4, 4, )
#elif defined(__aarch64__)
#define REGISTER(x) "w"(x)
FMA_LOOP(fma4, 4, )
#else
#define REGISTER(x) "m"(x)
FMA_LOOP(fma4, 4, )
#endif

static void multiply(void *context, size_t index) {
    double *done = (double *)context + index * 8;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) *done += fma16();
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) *done += fma8();
    else *done += fma4();
#else
    *done += fma4();
#endif
}

double graft_peak_operations(size_t threads) {
    double best = 0;
    double *done = calloc(threads * 8, sizeof(double));
    if (!done) return 0;
    for (int round = 0; round < 24; round++) {
        memset(done, 0, threads * 8 * sizeof(double));
        const double start = now();
        graft_parallel(threads, threads, multiply, done);
        const double time = now() - start;
        double sum = 0;
        for (size_t i = 0; i < threads; i++) sum += done[i * 8];
        if (time > 0 && sum / time > best) best = sum / time;
    }
    free(done);
    return best;
}

typedef struct {
    const float *numbers;
    size_t count;
    double *sums;
} read_job;

CLONES static double sum_of(const float *numbers, size_t count) {
    float sums[64] = {0};
    for (size_t i = 0; i + 64 <= count; i += 64)
        for (int l = 0; l < 64; l++) sums[l] += numbers[i + (size_t)l];
    double total = 0;
    for (int l = 0; l < 64; l++) total += sums[l];
    return total;
}

static void read_task(void *context, size_t index) {
    const read_job *j = context;
    j->sums[index * 8] = sum_of(j->numbers + index * j->count, j->count);
}

double graft_peak_bandwidth(size_t threads) {
    // More than the caches that one process is likely to have for itself.
    const size_t count = (size_t)16 << 20;
    float *numbers = malloc(threads * count * sizeof(float));
    double *sums = calloc(threads * 8, sizeof(double));
    double best = 0;
    if (numbers && sums) {
        for (size_t i = 0; i < threads * count; i++) numbers[i] = 1;
        read_job j = {numbers, count, sums};
        for (int round = 0; round < 4; round++) {
            const double start = now();
            graft_parallel(threads, threads, read_task, &j);
            const double time = now() - start;
            const double rate = (double)(threads * count * sizeof(float)) / time;
            if (time > 0 && sums[0] > 0 && rate > best) best = rate;
        }
    }
    free(numbers);
    free(sums);
    return best;
}

int graft_has_bf16(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl")) return 0;
    return __builtin_cpu_supports("avx512bf16") ? 2 : 1;
#else
    return 0;
#endif
}

int graft_has_int8(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avxvnni")
        || (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512vl"));
#else
    return 0;
#endif
}
