// A function compiled once for each of these instruction sets, chosen when the program starts.
#ifndef GRAFT_CLONES_H
#define GRAFT_CLONES_H

#if defined(__x86_64__) && defined(__linux__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define CLONES
#endif

#endif
