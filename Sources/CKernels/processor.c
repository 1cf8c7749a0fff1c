// What this processor can do.
#include "CKernels.h"

size_t graft_vector_block(size_t limit) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (limit >= 16 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        return 16;
    if (limit >= 8 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 8;
#endif
    (void)limit;
    return 0;
}
