// Convolution 3×3, stride 1, with few multiplications: Lavin & Gray 2015, arXiv:1509.09308.
//
// A tile of m × m outputs needs t × t inputs, t = m + 2. With the paper's matrices A, B and G
//     Y = Aᵀ [ Σ_c (G g_c Gᵀ) ⊙ (Bᵀ d_c B) ] A
// so that a tile costs t² multiplications a channel in place of 9 m²: 2.25 times fewer for
// F(2×2, 3×3), 4 times for F(4×4, 3×3). The sum over channels is a matrix product for each of the t²
// points; here it runs on a block of tiles that stays in the cache between the two transforms.
#ifndef GRAFT_WINOGRAD_H
#define GRAFT_WINOGRAD_H

#include <stddef.h>

// Where a map's numbers lie: floats from one column to the next, from one block of channels to the
// next and from one sample to the next; rows follow one another. In blocks: pixel = block;
// channels-last: pixel = channels, block = the kernel's block. Some channels of a wider map are a
// map too. All are multiples of the block.
typedef struct {
    size_t pixel, block, batch;
} graft_strides;

typedef struct {
    size_t n, channels, height, width;           // the input
    size_t outputs, out_height, out_width;       // the output
    graft_strides x, y;                          // how the two lie
    size_t top, left;                            // zeros before the first row and column
    int m;                                       // 2 or 4: the side of a tile
    size_t tiles;                                // how many tiles are transformed at a time
    size_t splits;                               // into how many parts the outputs are split
    size_t threads;                              // the most threads that run it
    int accumulate;                              // y = act(conv + bias + y)
    float lower, upper;                          // the activation: cut to this range
} graft_winograd;

// Whether a kernel of this block can do it: channels % block = 0, outputs % (2 · block) = 0, and all
// strides are multiples of the block.
int graft_winograd_fits(const graft_winograd *w, size_t block);

// The floats of transformed weights, and of scratch memory for each thread.
size_t graft_winograd_weights_count(const graft_winograd *w);
size_t graft_winograd_scratch_count(const graft_winograd *w, size_t block);

// U = G g Gᵀ of weights (outputs, channels, 3, 3), as the kernel of this block reads it. Reversed they are
// (channels, outputs, 3, 3) and turned by half a turn: those of a convolution whose gradient this is.
void graft_winograd_weights(
    const graft_winograd *w, size_t block, const float *weights, int reversed, float *u);

// The convolution. `bias` may be null; `scratch` has room for `threads` times graft_winograd_scratch_count floats.
void graft_winograd_run(
    const graft_winograd *w, size_t block, const float *x, const float *u, const float *bias,
    float *y, float *scratch);

#endif
