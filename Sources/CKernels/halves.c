// 16-bit floats from and to 32 bits, rounded to nearest even: what processors do where they can.
#include "CKernels.h"
#include "clones.h"
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Bytes of a file lie as they lie: nothing here asks for more than alignment to a byte.
static inline uint32_t load32(const uint8_t *bytes) {
    uint32_t v;
    memcpy(&v, bytes, 4);
    return v;
}
static inline uint16_t load16(const uint8_t *bytes) {
    uint16_t v;
    memcpy(&v, bytes, 2);
    return v;
}
static inline float as_float(uint32_t bits) {
    float v;
    memcpy(&v, &bits, 4);
    return v;
}
static inline uint32_t as_bits(float v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    return bits;
}

// Without branches, so that a loop of it becomes vectors.
static inline uint16_t half(uint32_t v) {
    const uint32_t sign = v >> 16 & 0x8000, bits = v & 0x7FFFFFFF;
    // Exponent from bias 127 to 15, and half a unit less if the result would be even.
    const uint32_t normal = (bits + 0xC8000FFFu + (bits >> 13 & 1)) >> 13;
    // Added to 1/2, a subnormal's bits stand where they belong, rounded by the addition.
    const uint32_t tiny = as_bits(as_float(bits) + 0.5f) - 0x3F000000u;
    // A NaN stays one, quiet, with the upper bits of its payload.
    const uint32_t nan = 0x7E00 | (bits >> 13 & 0x3FF);
    const uint32_t large = bits > 0x7F800000 ? nan : 0x7C00;
    const uint32_t finite = bits < 0x38800000 ? tiny : normal;
    return (uint16_t)((bits >= 0x47800000 ? large : finite) | sign);
}

static inline uint32_t single(uint16_t v) {
    const uint32_t sign = (uint32_t)(v & 0x8000) << 16, magnitude = (uint32_t)(v & 0x7FFF) << 13;
    // Exponent from bias 15 to 127: exact, for subnormals too.
    const uint32_t finite = as_bits(as_float(magnitude) * 0x1p112f);
    const uint32_t special = (magnitude > 0x0F800000 ? 0x7FC00000 : 0x7F800000) | magnitude;
    return (magnitude >= 0x0F800000 ? special : finite) | sign;
}

static inline uint16_t brain(uint32_t v) {
    const uint32_t rounded = (v + 0x7FFF + (v >> 16 & 1)) >> 16;
    return (uint16_t)((v & 0x7FFFFFFF) > 0x7F800000 ? v >> 16 | 0x40 : rounded);
}

CLONES
static void plain_f32_to_f16(const uint8_t *source, uint8_t *target, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint16_t v = half(load32(source + 4 * i));
        memcpy(target + 2 * i, &v, 2);
    }
}

CLONES
static void plain_f16_to_f32(const uint8_t *source, uint8_t *target, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t v = single(load16(source + 2 * i));
        memcpy(target + 4 * i, &v, 4);
    }
}

#if defined(__x86_64__)
// The processor's own instruction: eight at a time. Gives how many it has done.
__attribute__((target("avx2,f16c")))
static size_t f16c_f32_to_f16(const uint8_t *source, uint8_t *target, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256 v = _mm256_loadu_ps((const float *)(source + 4 * i));
        _mm_storeu_si128((__m128i *)(target + 2 * i), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    }
    return i;
}

__attribute__((target("avx2,f16c")))
static size_t f16c_f16_to_f32(const uint8_t *source, uint8_t *target, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(source + 2 * i));
        _mm256_storeu_ps((float *)(target + 4 * i), _mm256_cvtph_ps(v));
    }
    return i;
}

static int has_f16c(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
}
#endif

void graft_f32_to_f16(const void *source, void *target, size_t count) {
    size_t done = 0;
#if defined(__x86_64__)
    if (has_f16c()) done = f16c_f32_to_f16(source, target, count);
#endif
    plain_f32_to_f16((const uint8_t *)source + 4 * done, (uint8_t *)target + 2 * done, count - done);
}

void graft_f16_to_f32(const void *source, void *target, size_t count) {
    size_t done = 0;
#if defined(__x86_64__)
    if (has_f16c()) done = f16c_f16_to_f32(source, target, count);
#endif
    plain_f16_to_f32((const uint8_t *)source + 2 * done, (uint8_t *)target + 4 * done, count - done);
}

CLONES
void graft_f32_to_bf16(const void *source, void *target, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint16_t v = brain(load32((const uint8_t *)source + 4 * i));
        memcpy((uint8_t *)target + 2 * i, &v, 2);
    }
}

CLONES
void graft_bf16_to_f32(const void *source, void *target, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t v = (uint32_t)load16((const uint8_t *)source + 2 * i) << 16;
        memcpy((uint8_t *)target + 4 * i, &v, 4);
    }
}
