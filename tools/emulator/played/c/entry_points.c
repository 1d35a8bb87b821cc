/* What CuPy's compiled modules call in place of the CUDA runtime and driver. Device memory is host memory. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 13000, ALIGNMENT = 512 };
#define TOTAL_BYTES ((Py_ssize_t)80 << 30)
#define FREE_BYTES ((Py_ssize_t)64 << 30)

/* Entry points that have nothing to do. Arguments beyond those named are ignored, as the calling convention allows. */
PyObject *none(void) { Py_RETURN_NONE; }
PyObject *zero_object(void) { return PyLong_FromLong(0); }
int zero(void) { return 0; }
int one(void) { return 1; }
int version(void) { return VERSION; }
float one_millisecond(void) { return 1.0f; }

intptr_t handle(void)
{
    static intptr_t last = 0x1000;
    return last += 16;
}

/* NULL and an error: what would touch memory and is not played must not seem to have happened. */
intptr_t refused(void)
{
    PyErr_SetString(PyExc_NotImplementedError, "the emulated card does not play this CUDA entry point");
    return 0;
}

intptr_t allocate(size_t bytes)
{
    void *found = aligned_alloc(ALIGNMENT, (bytes / ALIGNMENT + 1) * ALIGNMENT);
    if (!found)
        PyErr_NoMemory();
    return (intptr_t)found;
}

PyObject *release(intptr_t pointer)
{
    free((void *)pointer);
    Py_RETURN_NONE;
}

PyObject *copy(intptr_t to, intptr_t from, size_t bytes)
{
    memmove((void *)to, (void *)from, bytes);
    Py_RETURN_NONE;
}

PyObject *fill(intptr_t to, int value, size_t bytes)
{
    memset((void *)to, value, bytes);
    Py_RETURN_NONE;
}

PyObject *memory(void) { return Py_BuildValue("(nn)", FREE_BYTES, TOTAL_BYTES); }

/* cudaDeviceAttr, of a card of compute capability 9.0. */
int attribute(int which)
{
    switch (which) {
    case 8: return 48 << 10;    /* shared memory per block */
    case 10: return 32;         /* warp */
    case 16: return 132;        /* multiprocessors */
    case 75: return 9;
    case 76: return 0;
    case 97: return 227 << 10;  /* shared memory per block, asked for */
    default: return 1024;
    }
}

int function_attribute(int which) { return which == 0 ? 1024 : 0; }

PyObject *properties(void)
{
    return Py_BuildValue("{s:y,s:i,s:i,s:n,s:i,s:i,s:i,s:i,s:i,s:n,s:i,s:i,s:n}", "name", "emulated card", "major", 9,
                         "minor", 0, "totalGlobalMem", TOTAL_BYTES, "multiProcessorCount", 132, "clockRate", 1,
                         "memoryClockRate", 1, "memoryBusWidth", 1, "warpSize", 32, "sharedMemPerBlock",
                         (Py_ssize_t)48 << 10, "maxThreadsPerBlock", 1024, "maxThreadsPerMultiProcessor", 2048,
                         "sharedMemPerMultiprocessor", (Py_ssize_t)228 << 10);
}

/* A module's image is the path of a shared library. */
intptr_t load(PyObject *image)
{
    const char *path = PyBytes_AsString(image);
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (path && !library)
        PyErr_Format(PyExc_OSError, "a compiled kernel does not load: %s", dlerror());
    return (intptr_t)library;
}

intptr_t find(intptr_t module, PyObject *name)
{
    char symbol[4096];
    void *found;
    snprintf(symbol, sizeof symbol, "%s__launch", PyUnicode_AsUTF8(name));
    found = dlsym((void *)module, symbol);
    if (!found)
        PyErr_Format(PyExc_LookupError, "a compiled module has no kernel %U", name);
    return (intptr_t)found;
}

PyObject *launch(intptr_t kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                 unsigned shared, intptr_t stream, intptr_t parameters)
{
    unsigned dims[6] = {gx, gy, gz, bx, by, bz};
    (void)shared, (void)stream;
    ((void (*)(void **, const unsigned *))kernel)((void **)parameters, dims);
    Py_RETURN_NONE;
}
