/* A convolution of events, channels last: each event adds a run of output channels for every tap of the kernel.
 *
 * weight (c_in, kh, kw, c_out), slot (out_h, out_w, c_out); stride 1. With -DSIZES the sizes are known to the compiler
 * (KH, KW, C_OUT, OUT_H, OUT_W).
 */
#include <stdint.h>

#ifdef SIZES
#define kh KH
#define kw KW
#define c_out C_OUT
#define out_h OUT_H
#define out_w OUT_W
#define UNUSED(x) x##_
#else
#define UNUSED(x) x
#endif

#define CONV(NAME, TYPE)                                                                                               \
    void NAME(TYPE *restrict slot, const int8_t *restrict weight, const int32_t *c, const int32_t *y,                  \
              const int32_t *x, long events, long pad, long UNUSED(kh), long UNUSED(kw), long UNUSED(c_out),           \
              long UNUSED(out_h), long UNUSED(out_w)) {                                                                \
        for (long k = 0; k < events; k++)                                                                              \
            for (long i = 0; i < kh; i++) {                                                                            \
                long oy = y[k] + pad - i;                                                                              \
                if (oy < 0 || oy >= out_h) continue;                                                                   \
                for (long j = 0; j < kw; j++) {                                                                        \
                    long ox = x[k] + pad - j;                                                                          \
                    if (ox < 0 || ox >= out_w) continue;                                                               \
                    TYPE *to = slot + (oy * out_w + ox) * c_out;                                                       \
                    const int8_t *from = weight + ((c[k] * kh + i) * kw + j) * c_out;                                  \
                    for (long n = 0; n < c_out; n++) to[n] += from[n];                                                 \
                }                                                                                                      \
            }                                                                                                          \
    }

CONV(conv_32, int32_t)
CONV(conv_16, int16_t)

/* the taps of a kernel row meet neighbouring pixels: kernels stored with their columns turned round are one run */
#define TURNED(NAME, TYPE)                                                                                             \
    void NAME(TYPE *restrict slot, const int8_t *restrict weight, const int32_t *c, const int32_t *y,                  \
              const int32_t *x, long events, long pad, long UNUSED(kh), long UNUSED(kw), long UNUSED(c_out),           \
              long UNUSED(out_h), long UNUSED(out_w)) {                                                                \
        for (long k = 0; k < events; k++) {                                                                            \
            long first = x[k] + pad - kw + 1, skip = first < 0 ? -first : 0;                                           \
            long last = first + kw > out_w ? out_w - first : kw;                                                       \
            for (long i = 0; i < kh; i++) {                                                                            \
                long oy = y[k] + pad - i;                                                                              \
                if (oy < 0 || oy >= out_h) continue;                                                                   \
                TYPE *to = slot + (oy * out_w + first) * c_out;                                                        \
                const int8_t *from = weight + (c[k] * kh + i) * kw * c_out;                                            \
                if (skip == 0 && last == kw)                                                                           \
                    for (long n = 0; n < kw * c_out; n++) to[n] += from[n];                                            \
                else                                                                                                   \
                    for (long n = skip * c_out; n < last * c_out; n++) to[n] += from[n];                               \
            }                                                                                                          \
        }                                                                                                              \
    }

TURNED(turned_32, int32_t)
TURNED(turned_16, int16_t)
