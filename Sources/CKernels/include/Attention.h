// Attention: softmax(scale · Q Kᵀ + bias) V for every head of every sample, with no matrix of scores in memory but
// for a few rows of it; and its gradients, for which the scores are computed again.
#ifndef GRAFT_ATTENTION_H
#define GRAFT_ATTENTION_H

#include <stddef.h>

typedef struct {
    // A head has `width` numbers of each query and key, and `values` of each value. Heads lie one after another.
    size_t batch, heads, queries, keys, width, values;
    float scale;
    // Whether query i sees keys 0 … i only.
    int is_causal;
    // From one sample to the next, and from one row to the next.
    size_t q_sample, q_row, k_sample, k_row, v_sample, v_row, y_sample, y_row;
    // The bias of sample n is that of n modulo `bias_samples`; from one of them, a head, a query and a key to the next.
    size_t bias_samples, bias_sample, bias_head, bias_query, bias_key;
} graft_attention;

// The floats of scratch memory that each slot needs, forward and backward.
size_t graft_attention_scratch_count(const graft_attention *a, int is_backward);

// `bias` may be null.
void graft_attention_forward(
    const graft_attention *a, const float *q, const float *k, const float *v, const float *bias, float *y,
    float *scratch, size_t slots);

// The gradients lie as what they are gradients of; `dbias`, which may be null, is (batch, heads, queries, keys).
void graft_attention_backward(
    const graft_attention *a, const float *q, const float *k, const float *v, const float *bias, const float *dy,
    float *dq, float *dk, float *dv, float *dbias, float *scratch, size_t slots);

#endif
