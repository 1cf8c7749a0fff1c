// oneDNN: one small C interface over both the 2.6 API (Debian 12) and the 3.x API, chosen here at
// compile time. Everything is f32 but where another type is asked for; every function returns oneDNN's own status.
#ifndef GRAFT_CDNNL_SHIM_H
#define GRAFT_CDNNL_SHIM_H

#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>

#define GRAFT_V3 (DNNL_VERSION_MAJOR >= 3)

// A memory descriptor: a struct in 2.6, a handle in 3.x.
typedef struct {
    dnnl_memory_desc_t md;
} graft_md;

#if GRAFT_V3
#define GRAFT_MD(m) ((m) ? (m)->md : NULL)
#else
#define GRAFT_MD(m) ((m) ? &(m)->md : NULL)
#endif

// Numbers of these dims with these strides.
static inline dnnl_status_t graft_md_create(
    graft_md *m, int ndims, const int64_t *dims, const int64_t *strides, dnnl_data_type_t type) {
#if GRAFT_V3
    return dnnl_memory_desc_create_with_strides(&m->md, ndims, dims, type, strides);
#else
    return dnnl_memory_desc_init_by_strides(&m->md, ndims, dims, type, strides);
#endif
}

// Numbers of these dims, in whatever layout is fastest.
static inline dnnl_status_t graft_md_create_any(
    graft_md *m, int ndims, const int64_t *dims, dnnl_data_type_t type) {
#if GRAFT_V3
    return dnnl_memory_desc_create_with_tag(&m->md, ndims, dims, type, dnnl_format_tag_any);
#else
    return dnnl_memory_desc_init_by_tag(&m->md, ndims, dims, type, dnnl_format_tag_any);
#endif
}

// (N, C, H, W) with the channels in blocks of 8 or 16: [N][C / block][H][W][block].
static inline dnnl_status_t graft_md_create_blocked(graft_md *m, const int64_t *dims, int block) {
    dnnl_format_tag_t tag = block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
#if GRAFT_V3
    return dnnl_memory_desc_create_with_tag(&m->md, 4, dims, dnnl_f32, tag);
#else
    return dnnl_memory_desc_init_by_tag(&m->md, 4, dims, dnnl_f32, tag);
#endif
}

static inline void graft_md_destroy(graft_md *m) {
#if GRAFT_V3
    dnnl_memory_desc_destroy(m->md);
#else
    (void)m;
#endif
}

static inline size_t graft_md_size(const graft_md *m) {
    return dnnl_memory_desc_get_size(GRAFT_MD(m));
}

static inline int graft_md_equal(const graft_md *a, const graft_md *b) {
    return dnnl_memory_desc_equal(GRAFT_MD(a), GRAFT_MD(b));
}

static inline dnnl_data_type_t graft_md_type(const graft_md *m) {
#if GRAFT_V3
    dnnl_data_type_t type = dnnl_data_type_undef;
    dnnl_status_t s = dnnl_memory_desc_query(m->md, dnnl_query_data_type, &type);
    return s == dnnl_success ? type : dnnl_data_type_undef;
#else
    return m->md.data_type;
#endif
}

// Says how numbers lie: type, dims, strides, inner blocks and what is kept behind them. 0 if it cannot be said
// in these words.
static inline int graft_md_text(const graft_md *m, char *text, size_t size) {
#if GRAFT_V3
    const_dnnl_memory_desc_t md = m->md;
    dnnl_format_kind_t kind = dnnl_format_kind_undef;
    dnnl_data_type_t type = dnnl_data_type_undef;
    int ndims = 0, blocks = 0;
    const int64_t *padded = NULL, *strides = NULL, *sizes = NULL, *indices = NULL;
    if (dnnl_memory_desc_query(md, dnnl_query_format_kind, &kind) != dnnl_success
        || dnnl_memory_desc_query(md, dnnl_query_data_type, &type) != dnnl_success
        || dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &ndims) != dnnl_success
        || dnnl_memory_desc_query(md, dnnl_query_padded_dims, &padded) != dnnl_success
        || dnnl_memory_desc_query(md, dnnl_query_strides, &strides) != dnnl_success
        || dnnl_memory_desc_query(md, dnnl_query_inner_nblks_s32, &blocks) != dnnl_success)
        return 0;
    if (blocks
        && (dnnl_memory_desc_query(md, dnnl_query_inner_blks, &sizes) != dnnl_success
            || dnnl_memory_desc_query(md, dnnl_query_inner_idxs, &indices) != dnnl_success))
        return 0;
    // 3.x does not tell what it keeps behind weights of eight bits.
    if (kind != dnnl_blocked || (type != dnnl_f32 && type != dnnl_bf16)) return 0;
#else
    const dnnl_memory_desc_t *md = &m->md;
    const dnnl_blocking_desc_t *b = &md->format_desc.blocking;
    const dnnl_data_type_t type = md->data_type;
    if (md->format_kind != dnnl_blocked) return 0;
    const int ndims = md->ndims, blocks = b->inner_nblks;
    const int64_t *padded = md->padded_dims, *strides = b->strides, *sizes = b->inner_blks,
                  *indices = b->inner_idxs;
#endif
    size_t at = 0;
#define GRAFT_PUT(...)                                                                             \
    do {                                                                                           \
        int n = snprintf(text + at, size - at, __VA_ARGS__);                                       \
        if (n < 0 || (size_t)n >= size - at) return 0;                                             \
        at += (size_t)n;                                                                           \
    } while (0)
    if (type != dnnl_f32) GRAFT_PUT(type == dnnl_bf16 ? "bf16 " : "type %d ", (int)type);
    for (int i = 0; i < ndims; i++)
        GRAFT_PUT("%lld/%lld,", (long long)padded[i], (long long)strides[i]);
    for (int i = 0; i < blocks; i++)
        GRAFT_PUT(";%lld@%lld", (long long)sizes[i], (long long)indices[i]);
#if !GRAFT_V3
    if (md->extra.flags)
        GRAFT_PUT("+%llx,%d,%g,%d", (unsigned long long)md->extra.flags, md->extra.compensation_mask,
            (double)md->extra.scale_adjust, md->extra.asymm_compensation_mask);
#endif
#undef GRAFT_PUT
    return 1;
}

static inline dnnl_status_t graft_memory_create(
    dnnl_memory_t *memory, const graft_md *m, dnnl_engine_t engine, void *handle) {
    return dnnl_memory_create(memory, GRAFT_MD(m), engine, handle);
}

// The descriptor that a primitive has chosen for one of its arguments (`what`: dnnl_query_src_md…).
static inline dnnl_status_t graft_query_md(
    const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index, graft_md *out) {
#if GRAFT_V3
    const_dnnl_memory_desc_t found = dnnl_primitive_desc_query_md(pd, what, index);
    return found ? dnnl_memory_desc_clone(&out->md, found) : dnnl_invalid_arguments;
#else
    const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(pd, what, index);
    if (!found || found->ndims == 0) return dnnl_invalid_arguments;
    out->md = *found;
    return dnnl_success;
#endif
}

static inline const char *graft_impl_info(const_dnnl_primitive_desc_t pd) {
    const char *text = NULL;
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &text) == dnnl_success && text
        ? text : "";
}

// Attributes without post-operations. Here as in all others, the scratch memory of a run is the caller's: oneDNN's
// own belongs to the thread that made the primitive, and another thread's run would use what is not there.
static inline dnnl_status_t graft_attr_plain(dnnl_primitive_attr_t *attr) {
    dnnl_status_t s = dnnl_primitive_attr_create(attr);
    return s == dnnl_success
        ? dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user) : s;
}

// Post-operations: first `sum` (add to what the destination holds) if asked, then one eltwise.
static inline dnnl_status_t graft_attr_create(
    dnnl_primitive_attr_t *attr, int sum, int eltwise, dnnl_alg_kind_t alg, float alpha, float beta) {
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s = graft_attr_plain(attr);
    if (s == dnnl_success) s = dnnl_post_ops_create(&ops);
#if GRAFT_V3
    if (s == dnnl_success && sum) s = dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
    if (s == dnnl_success && eltwise) s = dnnl_post_ops_append_eltwise(ops, alg, alpha, beta);
#else
    if (s == dnnl_success && sum) s = dnnl_post_ops_append_sum(ops, 1.0f);
    if (s == dnnl_success && eltwise) s = dnnl_post_ops_append_eltwise(ops, 1.0f, alg, alpha, beta);
#endif
    if (s == dnnl_success) s = dnnl_primitive_attr_set_post_ops(*attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return s;
}

// A product of numbers of eight bits. Before it is rounded, the result is
//     act(factors[c] * (the sum of products) + bias[c] + addend_scale * (what the target held)) / scale
// 2.6 has factors and scale as attributes and wants bias[c] / factors[c]; 3.x takes them as arguments of a run.
typedef struct {
    const float *factors;  // one for each of `channels`
    int64_t channels;
    int grouped;           // the weights have an axis of groups
    float scale;           // 1: the result is f32
    int sum;
    float addend_scale;
    dnnl_data_type_t addend_type;
    int eltwise;
    dnnl_alg_kind_t algorithm;
    float alpha, beta;
} graft_quantized;

static inline int graft_scales_are_arguments(void) { return GRAFT_V3; }

// The argument that is the scale of another one.
static inline int graft_scale_argument(int argument) {
#if GRAFT_V3
    return DNNL_ARG_ATTR_SCALES | argument;
#else
    return argument;
#endif
}

static inline dnnl_status_t graft_attr_quantized(dnnl_primitive_attr_t *attr, const graft_quantized *q) {
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s = graft_attr_plain(attr);
    if (s == dnnl_success) s = dnnl_post_ops_create(&ops);
#if GRAFT_V3
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_scales_mask(*attr, DNNL_ARG_WEIGHTS, q->grouped ? 3 : 1);
    if (s == dnnl_success && q->scale != 1) s = dnnl_primitive_attr_set_scales_mask(*attr, DNNL_ARG_DST, 0);
    if (s == dnnl_success && q->sum)
        s = dnnl_post_ops_append_sum(ops, q->addend_scale, 0, q->addend_type);
    if (s == dnnl_success && q->eltwise) s = dnnl_post_ops_append_eltwise(ops, q->algorithm, q->alpha, q->beta);
#else
    // What is behind an activation is its own factor; without one, the scale goes into all the others.
    const float inner = q->eltwise ? 1 : 1 / q->scale;
    float *factors = (float *)malloc((size_t)q->channels * sizeof(float));
    if (s == dnnl_success && !factors) s = dnnl_out_of_memory;
    if (s == dnnl_success) {
        for (int64_t c = 0; c < q->channels; c++) factors[c] = q->factors[c] * inner;
        s = dnnl_primitive_attr_set_output_scales(*attr, q->channels, q->channels > 1 ? 2 : 0, factors);
    }
    free(factors);
    if (s == dnnl_success && q->sum)
        s = dnnl_post_ops_append_sum_v2(ops, q->addend_scale * inner, q->addend_type);
    if (s == dnnl_success && q->eltwise)
        s = dnnl_post_ops_append_eltwise(ops, 1 / q->scale, q->algorithm, q->alpha, q->beta);
#endif
    if (s == dnnl_success) s = dnnl_primitive_attr_set_post_ops(*attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return s;
}

typedef struct {
    int64_t strides[2], kernel[2], dilation[2], before[2], after[2];
} graft_window;

// Convolution: `kind` is dnnl_forward_inference/training, dnnl_backward_data or dnnl_backward_weights.
static inline dnnl_status_t graft_conv(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t kind, const graft_md *src,
    const graft_md *weights, const graft_md *bias, const graft_md *dst, const graft_window *w,
    const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t hint) {
    dnnl_alg_kind_t alg = dnnl_convolution_direct;
#if GRAFT_V3
    if (kind == dnnl_backward_data)
        return dnnl_convolution_backward_data_primitive_desc_create(pd, engine, alg, GRAFT_MD(src),
            GRAFT_MD(weights), GRAFT_MD(dst), w->strides, w->dilation, w->before, w->after, hint, attr);
    if (kind == dnnl_backward_weights)
        return dnnl_convolution_backward_weights_primitive_desc_create(pd, engine, alg, GRAFT_MD(src),
            GRAFT_MD(weights), GRAFT_MD(bias), GRAFT_MD(dst), w->strides, w->dilation, w->before,
            w->after, hint, attr);
    return dnnl_convolution_forward_primitive_desc_create(pd, engine, kind, alg, GRAFT_MD(src),
        GRAFT_MD(weights), GRAFT_MD(bias), GRAFT_MD(dst), w->strides, w->dilation, w->before, w->after,
        attr);
#else
    dnnl_convolution_desc_t d;
    dnnl_status_t s;
    if (kind == dnnl_backward_data)
        s = dnnl_dilated_convolution_backward_data_desc_init(&d, alg, GRAFT_MD(src), GRAFT_MD(weights),
            GRAFT_MD(dst), w->strides, w->dilation, w->before, w->after);
    else if (kind == dnnl_backward_weights)
        s = dnnl_dilated_convolution_backward_weights_desc_init(&d, alg, GRAFT_MD(src),
            GRAFT_MD(weights), GRAFT_MD(bias), GRAFT_MD(dst), w->strides, w->dilation, w->before,
            w->after);
    else
        s = dnnl_dilated_convolution_forward_desc_init(&d, kind, alg, GRAFT_MD(src), GRAFT_MD(weights),
            GRAFT_MD(bias), GRAFT_MD(dst), w->strides, w->dilation, w->before, w->after);
    return s == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, hint) : s;
#endif
}

// Pooling; `backward` needs the forward descriptor as `hint`.
static inline dnnl_status_t graft_pool(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t kind, dnnl_alg_kind_t alg,
    const graft_md *src, const graft_md *dst, const graft_window *w, const_dnnl_primitive_attr_t attr,
    const_dnnl_primitive_desc_t hint) {
#if GRAFT_V3
    if (kind == dnnl_backward_data)
        return dnnl_pooling_backward_primitive_desc_create(pd, engine, alg, GRAFT_MD(src), GRAFT_MD(dst),
            w->strides, w->kernel, w->dilation, w->before, w->after, hint, attr);
    return dnnl_pooling_forward_primitive_desc_create(pd, engine, kind, alg, GRAFT_MD(src),
        GRAFT_MD(dst), w->strides, w->kernel, w->dilation, w->before, w->after, attr);
#else
    dnnl_pooling_v2_desc_t d;
    dnnl_status_t s = kind == dnnl_backward_data
        ? dnnl_pooling_v2_backward_desc_init(&d, alg, GRAFT_MD(src), GRAFT_MD(dst), w->strides,
              w->kernel, w->dilation, w->before, w->after)
        : dnnl_pooling_v2_forward_desc_init(&d, kind, alg, GRAFT_MD(src), GRAFT_MD(dst), w->strides,
              w->kernel, w->dilation, w->before, w->after);
    return s == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, hint) : s;
#endif
}

// Elementwise; backward reads the forward's source.
static inline dnnl_status_t graft_eltwise(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t kind, dnnl_alg_kind_t alg,
    const graft_md *data, const graft_md *diff, float alpha, float beta,
    const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t hint) {
#if GRAFT_V3
    if (kind == dnnl_backward_data)
        return dnnl_eltwise_backward_primitive_desc_create(
            pd, engine, alg, GRAFT_MD(diff), GRAFT_MD(diff), GRAFT_MD(data), alpha, beta, hint, attr);
    return dnnl_eltwise_forward_primitive_desc_create(
        pd, engine, kind, alg, GRAFT_MD(data), GRAFT_MD(data), alpha, beta, attr);
#else
    dnnl_eltwise_desc_t d;
    dnnl_status_t s = kind == dnnl_backward_data
        ? dnnl_eltwise_backward_desc_init(&d, alg, GRAFT_MD(diff), GRAFT_MD(data), alpha, beta)
        : dnnl_eltwise_forward_desc_init(&d, kind, alg, GRAFT_MD(data), alpha, beta);
    return s == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, hint) : s;
#endif
}

// Fully connected; `kind` as for graft_conv.
static inline dnnl_status_t graft_linear(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t kind, const graft_md *src,
    const graft_md *weights, const graft_md *bias, const graft_md *dst,
    const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t hint) {
#if GRAFT_V3
    if (kind == dnnl_backward_data)
        return dnnl_inner_product_backward_data_primitive_desc_create(
            pd, engine, GRAFT_MD(src), GRAFT_MD(weights), GRAFT_MD(dst), hint, attr);
    if (kind == dnnl_backward_weights)
        return dnnl_inner_product_backward_weights_primitive_desc_create(
            pd, engine, GRAFT_MD(src), GRAFT_MD(weights), GRAFT_MD(bias), GRAFT_MD(dst), hint, attr);
    return dnnl_inner_product_forward_primitive_desc_create(
        pd, engine, kind, GRAFT_MD(src), GRAFT_MD(weights), GRAFT_MD(bias), GRAFT_MD(dst), attr);
#else
    dnnl_inner_product_desc_t d;
    dnnl_status_t s;
    if (kind == dnnl_backward_data)
        s = dnnl_inner_product_backward_data_desc_init(&d, GRAFT_MD(src), GRAFT_MD(weights), GRAFT_MD(dst));
    else if (kind == dnnl_backward_weights)
        s = dnnl_inner_product_backward_weights_desc_init(
            &d, GRAFT_MD(src), GRAFT_MD(weights), GRAFT_MD(bias), GRAFT_MD(dst));
    else
        s = dnnl_inner_product_forward_desc_init(
            &d, kind, GRAFT_MD(src), GRAFT_MD(weights), GRAFT_MD(bias), GRAFT_MD(dst));
    return s == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, hint) : s;
#endif
}

// dst = src · weights over the last two axes; axes before them of one element are repeated.
static inline dnnl_status_t graft_matmul(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const graft_md *src, const graft_md *weights,
    const graft_md *dst, const_dnnl_primitive_attr_t attr) {
#if GRAFT_V3
    return dnnl_matmul_primitive_desc_create(
        pd, engine, GRAFT_MD(src), GRAFT_MD(weights), NULL, GRAFT_MD(dst), attr);
#else
    dnnl_matmul_desc_t d;
    dnnl_status_t s = dnnl_matmul_desc_init(&d, GRAFT_MD(src), GRAFT_MD(weights), NULL, GRAFT_MD(dst));
    return s == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, NULL) : s;
#endif
}

// dst = a (alg) b; b may have extents of 1 that are repeated.
static inline dnnl_status_t graft_binary(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t alg, const graft_md *a,
    const graft_md *b, const graft_md *dst, const_dnnl_primitive_attr_t attr) {
#if GRAFT_V3
    return dnnl_binary_primitive_desc_create(
        pd, engine, alg, GRAFT_MD(a), GRAFT_MD(b), GRAFT_MD(dst), attr);
#else
    dnnl_binary_desc_t d;
    dnnl_status_t s = dnnl_binary_desc_init(&d, alg, GRAFT_MD(a), GRAFT_MD(b), GRAFT_MD(dst));
    return s == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, NULL) : s;
#endif
}

// A box inside a layout.
static inline dnnl_status_t graft_md_part(
    graft_md *m, const graft_md *whole, const int64_t *dims, const int64_t *offsets) {
#if GRAFT_V3
    return dnnl_memory_desc_create_submemory(&m->md, whole->md, dims, offsets);
#else
    return dnnl_memory_desc_init_submemory(&m->md, &whole->md, dims, offsets);
#endif
}

// f32 of these dims in a named layout.
static inline dnnl_status_t graft_md_tagged(
    graft_md *m, int ndims, const int64_t *dims, dnnl_format_tag_t tag) {
#if GRAFT_V3
    return dnnl_memory_desc_create_with_tag(&m->md, ndims, dims, dnnl_f32, tag);
#else
    return dnnl_memory_desc_init_by_tag(&m->md, ndims, dims, dnnl_f32, tag);
#endif
}

// Layer normalisation over the last axis with scale and shift, forward.
static inline dnnl_status_t graft_layer_norm(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const graft_md *data, const graft_md *statistics,
    float epsilon, const_dnnl_primitive_attr_t attr) {
    unsigned flags = dnnl_use_scale | dnnl_use_shift;
#if GRAFT_V3
    return dnnl_layer_normalization_forward_primitive_desc_create(pd, engine, dnnl_forward_inference,
        GRAFT_MD(data), GRAFT_MD(data), GRAFT_MD(statistics), epsilon, flags, attr);
#else
    dnnl_layer_normalization_desc_t d;
    dnnl_status_t s = dnnl_layer_normalization_forward_desc_init(
        &d, dnnl_forward_inference, GRAFT_MD(data), GRAFT_MD(statistics), epsilon, flags);
    return s == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, NULL) : s;
#endif
}

static inline dnnl_status_t graft_softmax(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const graft_md *data, int axis,
    const_dnnl_primitive_attr_t attr) {
#if GRAFT_V3
    return dnnl_softmax_forward_primitive_desc_create(pd, engine, dnnl_forward_inference,
        dnnl_softmax_accurate, GRAFT_MD(data), GRAFT_MD(data), axis, attr);
#else
    dnnl_softmax_desc_t d;
    dnnl_status_t s = dnnl_softmax_forward_desc_init(&d, dnnl_forward_inference, GRAFT_MD(data), axis);
    return s == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, NULL) : s;
#endif
}

static inline dnnl_status_t graft_reorder(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const graft_md *from, const graft_md *to,
    const_dnnl_primitive_attr_t attr) {
    return dnnl_reorder_primitive_desc_create(pd, GRAFT_MD(from), engine, GRAFT_MD(to), engine, attr);
}

// The same with a factor: numbers into eight bits, or out of them. In 3.x it is an argument, the source's scale.
static inline dnnl_status_t graft_reorder_scaled(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const graft_md *from, const graft_md *to, float factor) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s = graft_attr_plain(&attr);
#if GRAFT_V3
    (void)factor;
    if (s == dnnl_success) s = dnnl_primitive_attr_set_scales_mask(attr, DNNL_ARG_SRC, 0);
#else
    if (s == dnnl_success) s = dnnl_primitive_attr_set_output_scales(attr, 1, 0, &factor);
#endif
    if (s == dnnl_success)
        s = dnnl_reorder_primitive_desc_create(pd, GRAFT_MD(from), engine, GRAFT_MD(to), engine, attr);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return s;
}

#endif
