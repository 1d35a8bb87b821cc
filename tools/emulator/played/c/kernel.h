// CUDA's device language for a C++ compiler of the host: what CuPy's kernel sources use of it.
#pragma once
#include <cassert>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <immintrin.h>
#include <limits>
#include <type_traits>
#include <utility>

// The toolkit's headers define the qualifiers for a host compiler; here every function is the host's.
#define __shared__ __shared_unused
#include <vector_types.h>
#include <cuda_fp16.h>
#undef __shared__
#undef __device__
#undef __host__
#undef __global__
#undef __forceinline__
#undef __noinline__
#undef __launch_bounds__
#undef __constant__
#undef __restrict__
#define __CUDACC_VER_MAJOR__ 13
#define __device__
#define __host__
#define __global__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __constant__ static
#define __shared__ static
#define __restrict__

#include "threads.h"

// Synchronisation and shuffles. A warp's lanes exchange values through memory, a barrier before and one after.
inline void __syncthreads() { emu_barrier(); }
inline void __syncwarp(unsigned = 0) { emu_barrier(); }
inline void __threadfence() {}

template <class T> T emu_shuffle(T value, int lane)
{
    unsigned me = threadIdx.x;
    emu_lanes[me] = 0;
    memcpy(&emu_lanes[me], &value, sizeof(T));
    emu_barrier();
    T other;
    memcpy(&other, &emu_lanes[(me & ~31u) | (lane & 31)], sizeof(T));
    emu_barrier();
    return other;
}
inline int emu_lane() { return threadIdx.x & 31; }
template <class T> T __shfl_sync(unsigned, T v, int lane, int = 32) { return emu_shuffle(v, lane); }
template <class T> T __shfl_xor_sync(unsigned, T v, int mask, int = 32) { return emu_shuffle(v, emu_lane() ^ mask); }
template <class T> T __shfl_up_sync(unsigned, T v, int by, int = 32)
{
    return emu_shuffle(v, emu_lane() >= by ? emu_lane() - by : emu_lane());
}
template <class T> T __shfl_down_sync(unsigned, T v, int by, int = 32)
{
    return emu_shuffle(v, emu_lane() + by < 32 ? emu_lane() + by : emu_lane());
}

// Bits.
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
template <class T> T __ldg(const T *p) { return *p; }
template <class To, class From> To emu_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "bits are kept");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
inline long long __double_as_longlong(double x) { return emu_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emu_bits<double>(x); }
inline int __float_as_int(float x) { return emu_bits<int>(x); }
inline float __int_as_float(int x) { return emu_bits<float>(x); }
inline unsigned __float_as_uint(float x) { return emu_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return emu_bits<float>(x); }
inline int __double2hiint(double x) { return (int)(emu_bits<long long>(x) >> 32); }
inline int __double2loint(double x) { return (int)emu_bits<long long>(x); }
inline double __hiloint2double(int high, int low) { return emu_bits<double>(((long long)high << 32) | (unsigned)low); }

// Arithmetic. Every rounding is to nearest, as the host's.
inline double __ddiv_rn(double a, double b) { return a / b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline long long __float2ll_rn(float x) { return llrintf(x); }
inline float __expf(float x) { return std::exp(x); }

using std::abs; using std::fabs; using std::isnan; using std::isinf; using std::isfinite; using std::signbit;
using std::exp; using std::exp2; using std::expm1; using std::log; using std::log2; using std::log10; using std::log1p;
using std::sin; using std::cos; using std::tan; using std::asin; using std::acos; using std::atan; using std::atan2;
using std::sinh; using std::cosh; using std::tanh; using std::asinh; using std::acosh; using std::atanh;
using std::sqrt; using std::cbrt; using std::pow; using std::hypot; using std::fmod; using std::remainder;
using std::floor; using std::ceil; using std::trunc; using std::rint; using std::round; using std::modf;
using std::copysign; using std::nextafter; using std::fmin; using std::fmax; using std::ldexp; using std::frexp;
using std::lgamma; using std::tgamma; using std::erf; using std::erfc;
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline float rsqrt(float x) { return 1 / std::sqrt(x); }
inline double sinpi(double x) { return std::sin(M_PI * x); }
inline float sinpi(float x) { return std::sin((float)M_PI * x); }
inline double exp10(double x) { return std::pow(10.0, x); }
inline double cyl_bessel_i0(double x) { return std::cyl_bessel_i(0, std::fabs(x)); }
inline float cyl_bessel_i0(float x) { return std::cyl_bessel_if(0, std::fabs(x)); }

template <class A, class B>
using emu_common = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>, std::common_type_t<A, B>>;
template <class A, class B> emu_common<A, B> min(A a, B b)
{
    using C = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<C>)
        return std::fmin((C)a, (C)b);
    else
        return (C)b < (C)a ? (C)b : (C)a;
}
template <class A, class B> emu_common<A, B> max(A a, B b)
{
    using C = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<C>)
        return std::fmax((C)a, (C)b);
    else
        return (C)a < (C)b ? (C)b : (C)a;
}

// Atomics: one thread runs at a time. CuPy's own header adds the narrower ones.
template <class T> T emu_replace(T *at, T value)
{
    T old = *at;
    *at = value;
    return old;
}
#define EMU_ADDS(T) \
    inline T atomicAdd(T *at, T v) { return emu_replace<T>(at, *at + v); } \
    inline T atomicExch(T *at, T v) { return emu_replace<T>(at, v); }
#define EMU_ATOMICS(T) \
    EMU_ADDS(T) \
    inline T atomicSub(T *at, T v) { return emu_replace<T>(at, *at - v); } \
    inline T atomicMin(T *at, T v) { return emu_replace<T>(at, v < *at ? v : *at); } \
    inline T atomicMax(T *at, T v) { return emu_replace<T>(at, v > *at ? v : *at); } \
    inline T atomicAnd(T *at, T v) { return emu_replace<T>(at, *at & v); } \
    inline T atomicOr(T *at, T v) { return emu_replace<T>(at, *at | v); } \
    inline T atomicXor(T *at, T v) { return emu_replace<T>(at, *at ^ v); } \
    inline T atomicCAS(T *at, T held, T v) { return emu_replace<T>(at, *at == held ? v : *at); }
EMU_ATOMICS(int)
EMU_ATOMICS(unsigned)
EMU_ATOMICS(unsigned long long)
EMU_ADDS(float)
inline double atomicAdd(double *at, double v) { return emu_replace<double>(at, *at + v); }
inline unsigned short atomicCAS(unsigned short *at, unsigned short held, unsigned short v)
{
    return emu_replace<unsigned short>(at, *at == held ? v : *at);
}

// A kernel is called with pointers to its parameters, as cuLaunchKernel is.
template <class... A, size_t... I> void emu_spread(void (*kernel)(A...), void **p, std::index_sequence<I...>)
{
    kernel(*(std::remove_const_t<std::remove_reference_t<A>> *)p[I]...);
}
template <class... A> void emu_call(void (*kernel)(A...), void **p)
{
    emu_spread(kernel, p, std::index_sequence_for<A...>{});
}
#define EMU_KERNEL(symbol, order, ...) \
    static void symbol##__body(void **p) { emu_call(&__VA_ARGS__, p); } \
    extern "C" void symbol##__launch(void **p, const unsigned *dims) { emu_run(&symbol##__body, dims, p, order); }

#include <cupy/float16.cuh>
#include <cupy/complex.cuh>
#include <cupy/carray.cuh>
#include <cupy/atomics.cuh>
#include <cupy/math_constants.h>
