// libhdf5: the macros that call or cast, as functions.
#ifndef GRAFT_CHDF5_SHIM_H
#define GRAFT_CHDF5_SHIM_H

#include <hdf5.h>

// Predefined types are variables that exist once the library is open, which these macros do.
static inline hid_t graft_h5_type(int kind) {
    switch (kind) {
    case 0: return H5T_NATIVE_INT8;
    case 1: return H5T_NATIVE_UINT8;
    case 2: return H5T_NATIVE_INT16;
    case 3: return H5T_NATIVE_UINT16;
    case 4: return H5T_NATIVE_INT32;
    case 5: return H5T_NATIVE_UINT32;
    case 6: return H5T_NATIVE_INT64;
    case 7: return H5T_NATIVE_UINT64;
    case 8: return H5T_NATIVE_FLOAT;
    case 9: return H5T_NATIVE_DOUBLE;
    default: return H5T_C_S1;
    }
}
static inline hid_t graft_h5_file_access(void) { return H5Pcreate(H5P_FILE_ACCESS); }
static inline hid_t graft_h5_default(void) { return H5P_DEFAULT; }
static inline hid_t graft_h5_all(void) { return H5S_ALL; }
static inline size_t graft_h5_variable(void) { return H5T_VARIABLE; }
static inline haddr_t graft_h5_undefined(void) { return HADDR_UNDEF; }
static inline void graft_h5_silence(void) {
    H5open();
    // No filter is ever loaded because a file names it.
    H5PLset_loading_state(0);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}
static inline void graft_h5_clear_errors(void) { H5Eclear2(H5E_DEFAULT); }

// An image of a file that is read where it lies: no copy is made, none is freed.
static inline void *graft_h5_image_place(size_t size, H5FD_file_image_op_t op, void *place) {
    (void)size, (void)op;
    return place;
}
static inline void *graft_h5_image_copy(
    void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *place) {
    (void)from, (void)size, (void)op, (void)place;
    return to;
}
static inline void *graft_h5_image_grow(
    void *old, size_t size, H5FD_file_image_op_t op, void *place) {
    (void)old, (void)size, (void)op, (void)place;
    return NULL;
}
static inline herr_t graft_h5_image_free(void *old, H5FD_file_image_op_t op, void *place) {
    (void)old, (void)op, (void)place;
    return 0;
}
static inline void *graft_h5_image_same(void *place) { return place; }
static inline herr_t graft_h5_image_keep(void *place) {
    (void)place;
    return 0;
}
static inline herr_t graft_h5_image(hid_t access, const void *bytes, size_t count) {
    H5FD_file_image_callbacks_t callbacks = {
        graft_h5_image_place, graft_h5_image_copy, graft_h5_image_grow, graft_h5_image_free,
        graft_h5_image_same, graft_h5_image_keep, (void *)bytes,
    };
    if (H5Pset_fapl_core(access, 1 << 20, 0) < 0) return -1;
    if (H5Pset_file_image_callbacks(access, &callbacks) < 0) return -1;
    return H5Pset_file_image(access, (void *)bytes, count);
}

// A way to open a data set whose cache holds `bytes` of decoded chunks, or libhdf5's own choice (0).
static inline hid_t graft_h5_dataset_access(size_t bytes) {
    hid_t list = H5Pcreate(H5P_DATASET_ACCESS);
    if (list >= 0 && bytes > 0) H5Pset_chunk_cache(list, H5D_CHUNK_CACHE_NSLOTS_DEFAULT, bytes, 1);
    return list;
}

// The kind of link that a name of a file is. 1.12 and later make the type and the function macros, which Swift
// does not see.
static inline herr_t graft_h5_link_kind(hid_t place, const char *name, H5L_type_t *kind) {
#if H5_VERSION_GE(1, 12, 0)
    H5L_info1_t info;
    const herr_t status = H5Lget_info1(place, name, &info, H5P_DEFAULT);
#else
    H5L_info_t info;
    const herr_t status = H5Lget_info(place, name, &info, H5P_DEFAULT);
#endif
    *kind = status < 0 ? H5L_TYPE_ERROR : info.type;
    return status;
}

// Where an object lies in its file, by which it is known under all of its names.
static inline uint64_t graft_h5_address(hid_t object) {
#if H5_VERSION_GE(1, 12, 0)
    H5O_info1_t info;
#else
    H5O_info_t info;
#endif
    return H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0 ? UINT64_MAX : (uint64_t)info.addr;
}

static inline hid_t graft_h5_creation(int kind) {
    return H5Pcreate(kind == 0 ? H5P_DATASET_CREATE : kind == 1 ? H5P_LINK_CREATE : H5P_FILE_ACCESS);
}

#endif
