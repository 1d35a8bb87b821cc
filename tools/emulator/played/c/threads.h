/* What a kernel sees of its launch; shared by the kernels' header and by threads.c. */
#pragma once

typedef struct { unsigned x, y, z; } emu_index;
typedef void (*emu_kernel)(void **);

enum emu_order {
    EMU_WHOLE_GRID,  /* grid-stride loops only: one thread does the work of all */
    EMU_IN_TURN,     /* no synchronisation: the threads run one after the other */
    EMU_FIBERS       /* barriers or shuffles: the threads of a block take turns at each */
};

#ifdef __cplusplus
extern "C" {
#endif
extern emu_index threadIdx, blockIdx, blockDim, gridDim;
extern char emu_dynamic_shared[];
extern unsigned long long emu_lanes[];
void emu_barrier(void);
void emu_run(emu_kernel kernel, const unsigned *dims, void **parameters, enum emu_order order);
#ifdef __cplusplus
}
#endif
