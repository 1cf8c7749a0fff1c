// A quick checksum: it finds what was torn or damaged, not what was forged.
#include "CKernels.h"
#include "clones.h"
#include <string.h>

// Eight sums side by side, so that it runs as fast as memory is read; what came before a word is
// rotated, so that its place counts. The ends are mixed by FNV-1a's step.
CLONES uint64_t graft_checksum(const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    uint64_t lane[8];
    for (int i = 0; i < 8; i++) lane[i] = 0xcbf29ce484222325u + (uint64_t)i;
    size_t left = count;
    for (; left >= 64; left -= 64, at += 64) {
        uint64_t word[8];
        memcpy(word, at, 64);
        for (int i = 0; i < 8; i++) {
            const uint64_t mixed = lane[i] ^ word[i];
            lane[i] = ((mixed << 5) | (mixed >> 59)) + 0x9e3779b97f4a7c15u;
        }
    }
    uint64_t sum = count * 0x100000001b3u;
    for (int i = 0; i < 8; i++) sum = (sum ^ lane[i]) * 0x100000001b3u;
    for (; left; left--, at++) sum = (sum ^ *at) * 0x100000001b3u;
    return sum ^ (sum >> 32);
}
