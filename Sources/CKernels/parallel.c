// Loops over the threads of the OpenMP runtime that oneDNN uses too, so that there is one team and
// not two. Its entry points are looked up, not linked: this module builds with any compiler.
#define _GNU_SOURCE
#include "CKernels.h"
#include <dlfcn.h>
#include <pthread.h>

typedef void (*parallel_fn)(void (*)(void *), void *, unsigned, unsigned);

static parallel_fn gomp_parallel;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look_up(void) {
    // GOMP_parallel is libgomp's stable interface to compilers; LLVM's libomp has it as well.
    gomp_parallel = (parallel_fn)dlsym(RTLD_DEFAULT, "GOMP_parallel");
}

typedef struct {
    size_t count, next, slots, limit;
    void (*body)(void *, size_t, size_t);
    void *context;
} loop;

static void work(void *argument) {
    loop *l = argument;
    const size_t slot = __atomic_fetch_add(&l->slots, 1, __ATOMIC_RELAXED);
    // No more slots than there is scratch memory for, whatever the runtime does.
    if (slot >= l->limit) return;
    // Who is free takes the next: a thread that was preempted holds up no other.
    for (;;) {
        const size_t i = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
        if (i >= l->count) return;
        l->body(l->context, slot, i);
    }
}

void graft_parallel_slots(
    size_t count, size_t slots, void (*body)(void *, size_t, size_t), void *context) {
    pthread_once(&once, look_up);
    loop l = {count, 0, 0, slots ? slots : SIZE_MAX, body, context};
    // Not fewer threads for fewer tasks: libgomp ends those that a region does without.
    if (gomp_parallel && count > 1 && slots != 1) gomp_parallel(work, &l, (unsigned)slots, 0);
    else work(&l);
}

typedef struct {
    void (*body)(void *, size_t);
    void *context;
} plain;

static void without_slot(void *context, size_t slot, size_t index) {
    (void)slot;
    const plain *p = context;
    p->body(p->context, index);
}

void graft_parallel(
    size_t count, size_t threads, void (*body)(void *, size_t), void *context) {
    plain p = {body, context};
    graft_parallel_slots(count, threads, without_slot, &p);
}
