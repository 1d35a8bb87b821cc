/* Runs a kernel's grid on one host thread, block by block. Launches come with Python's lock held, so one at a time. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include "threads.h"

#define MOST_THREADS 1024
#define STACK_BYTES (128 * 1024)

emu_index threadIdx, blockIdx, blockDim, gridDim;
char emu_dynamic_shared[1 << 18];
unsigned long long emu_lanes[2 * MOST_THREADS];

static ucontext_t scheduler, fibers[MOST_THREADS];
static char *stacks, ended[MOST_THREADS];
static int running, in_fibers;
static emu_kernel current;
static void **arguments;

static void become(int thread)
{
    running = thread;
    threadIdx.x = thread % blockDim.x;
    threadIdx.y = thread / blockDim.x % blockDim.y;
    threadIdx.z = thread / (blockDim.x * blockDim.y);
}

static void fiber(void)
{
    current(arguments);
    ended[running] = 1;
    swapcontext(&fibers[running], &scheduler);
}

void emu_barrier(void)
{
    if (in_fibers)
        swapcontext(&fibers[running], &scheduler);
}

static void block_of_fibers(int count)
{
    int left = count;
    if (!stacks && !(stacks = malloc((size_t)STACK_BYTES * MOST_THREADS))) {
        fputs("the emulated card has no memory for the stacks of its threads\n", stderr);
        abort();
    }
    in_fibers = 1;
    for (int t = 0; t < count; t++) {
        getcontext(&fibers[t]);
        fibers[t].uc_stack.ss_sp = stacks + (size_t)t * STACK_BYTES;
        fibers[t].uc_stack.ss_size = STACK_BYTES;
        fibers[t].uc_link = &scheduler;
        makecontext(&fibers[t], fiber, 0);
        ended[t] = 0;
    }
    while (left)
        for (int t = 0; t < count; t++)
            if (!ended[t]) {
                become(t);
                swapcontext(&scheduler, &fibers[t]);
                left -= ended[t];
            }
    in_fibers = 0;
}

static void block(enum emu_order order)
{
    int count = blockDim.x * blockDim.y * blockDim.z;
    if (order == EMU_FIBERS) {
        block_of_fibers(count);
        return;
    }
    for (int t = 0; t < count; t++) {
        become(t);
        current(arguments);
    }
}

void emu_run(emu_kernel kernel, const unsigned *d, void **parameters, enum emu_order order)
{
    current = kernel;
    arguments = parameters;
    gridDim = (emu_index){1, 1, 1};
    blockDim = (emu_index){1, 1, 1};
    blockIdx = (emu_index){0, 0, 0};
    if (order != EMU_WHOLE_GRID) {
        gridDim = (emu_index){d[0], d[1], d[2]};
        blockDim = (emu_index){d[3], d[4], d[5]};
    }
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
                block(order);
}
