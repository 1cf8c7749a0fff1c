// Open MPI's calls by address: the library is loaded when a run asks for it, and needs no header to build.
#ifndef GRAFT_CMPI_SHIM_H
#define GRAFT_CMPI_SHIM_H

#include <dlfcn.h>
#include <stddef.h>

// What is used of MPI 3. In Open MPI, communicators, types and operations are addresses of objects.
typedef struct {
    void *world, *floats, *sum, *errors_return;
    int (*init_thread)(int *, char ***, int, int *);
    int (*initialized)(int *);
    int (*set_errhandler)(void *, void *);
    int (*rank)(void *, int *);
    int (*size)(void *, int *);
    int (*barrier)(void *);
    int (*allreduce)(const void *, void *, int, void *, void *, void *);
    int (*iallreduce)(const void *, void *, int, void *, void *, void *, void **);
    int (*waitall)(int, void **, void *);
    int (*error_string)(int, char *, int *);
    int (*abort)(void *, int);
    int (*finalize)(void);
} graft_mpi;

// MPI_IN_PLACE.
static inline const void *graft_mpi_in_place(void) { return (const void *)1; }

// Loads the library; the name of what is missing, or NULL.
static inline const char *graft_mpi_load(graft_mpi *mpi, const char *path) {
    // Its plug-ins look for its symbols among the global ones.
    void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!library) return "the library";
#define GRAFT_MPI(field, symbol) \
    if (!(*(void **)(&mpi->field) = dlsym(library, symbol))) return symbol;
    GRAFT_MPI(world, "ompi_mpi_comm_world")
    GRAFT_MPI(floats, "ompi_mpi_float")
    GRAFT_MPI(sum, "ompi_mpi_op_sum")
    GRAFT_MPI(errors_return, "ompi_mpi_errors_return")
    GRAFT_MPI(init_thread, "MPI_Init_thread")
    GRAFT_MPI(initialized, "MPI_Initialized")
    GRAFT_MPI(set_errhandler, "MPI_Comm_set_errhandler")
    GRAFT_MPI(rank, "MPI_Comm_rank")
    GRAFT_MPI(size, "MPI_Comm_size")
    GRAFT_MPI(barrier, "MPI_Barrier")
    GRAFT_MPI(allreduce, "MPI_Allreduce")
    GRAFT_MPI(iallreduce, "MPI_Iallreduce")
    GRAFT_MPI(waitall, "MPI_Waitall")
    GRAFT_MPI(error_string, "MPI_Error_string")
    GRAFT_MPI(abort, "MPI_Abort")
    GRAFT_MPI(finalize, "MPI_Finalize")
#undef GRAFT_MPI
    return NULL;
}

#endif
