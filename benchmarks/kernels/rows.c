/* Loops that the emulator's kernels are measured against: adding rows of int8 weights to accumulators, and compaction.
 *
 * Built by benchmarks/kernels.py with gcc and clang, -O3 -march=native; with -DN=... the sizes are known to the compiler.
 * Each function adds the rows of `spikes` sources to `slot`, int32, or leaves the sums of int16 accumulators there.
 */
#include <stdint.h>
#include <string.h>

#ifdef N
#define SIZE(n) N
#else
#define SIZE(n) (n)
#endif

/* dense: weights (sources, n) */
void dense_1(int32_t *restrict slot, const int8_t *restrict w, const int32_t *source, long spikes, long n) {
    for (long k = 0; k < spikes; k++) {
        const int8_t *row = w + (long)source[k] * SIZE(n);
        for (long t = 0; t < SIZE(n); t++) slot[t] += row[t];
    }
}

void dense_4(int32_t *restrict slot, const int8_t *restrict w, const int32_t *source, long spikes, long n) {
    long k = 0;
    for (; k + 4 <= spikes; k += 4) {
        const int8_t *a = w + (long)source[k] * SIZE(n), *b = w + (long)source[k + 1] * SIZE(n);
        const int8_t *c = w + (long)source[k + 2] * SIZE(n), *d = w + (long)source[k + 3] * SIZE(n);
        for (long t = 0; t < SIZE(n); t++) slot[t] += (int16_t)(a[t] + b[t] + c[t] + d[t]);
    }
    dense_1(slot, w, source + k, spikes - k, n);
}

void dense_8(int32_t *restrict slot, const int8_t *restrict w, const int32_t *source, long spikes, long n) {
    long k = 0;
    for (; k + 8 <= spikes; k += 8) {
        const int8_t *r[8];
        for (int m = 0; m < 8; m++) r[m] = w + (long)source[k + m] * SIZE(n);
        const int8_t *a = r[0], *b = r[1], *c = r[2], *d = r[3], *e = r[4], *f = r[5], *g = r[6], *h = r[7];
        for (long t = 0; t < SIZE(n); t++)
            slot[t] += (int16_t)(a[t] + b[t] + c[t] + d[t] + e[t] + f[t] + g[t] + h[t]);
    }
    dense_1(slot, w, source + k, spikes - k, n);
}

void dense_16bit(int32_t *restrict slot, const int8_t *restrict w, const int32_t *source, long spikes, long n) {
    static int16_t sum[1 << 16];
    for (long lo = 0; lo < spikes; lo += 256) { /* 256 rows of int8 fit an int16 */
        long hi = lo + 256 < spikes ? lo + 256 : spikes;
        memset(sum, 0, 2 * SIZE(n));
        for (long k = lo; k < hi; k++) {
            const int8_t *row = w + (long)source[k] * SIZE(n);
            for (long t = 0; t < SIZE(n); t++) sum[t] += row[t];
        }
        for (long t = 0; t < SIZE(n); t++) slot[t] += sum[t];
    }
}

/* sparse: rows first[s]..first[s + 1] of targets (16 bits) and weights */
void sparse_1(int32_t *restrict slot, const int64_t *first, const uint16_t *restrict target,
              const int8_t *restrict weight, const int32_t *source, long spikes) {
    for (long k = 0; k < spikes; k++)
        for (int64_t j = first[source[k]]; j < first[source[k] + 1]; j++) slot[target[j]] += weight[j];
}

void sparse_32(int32_t *restrict slot, const int64_t *first, const int32_t *restrict target,
               const int8_t *restrict weight, const int32_t *source, long spikes) {
    for (long k = 0; k < spikes; k++)
        for (int64_t j = first[source[k]]; j < first[source[k] + 1]; j++) slot[target[j]] += weight[j];
}

/* segments first[s]..first[s + 1]: runs of targets that take runs of weights; and single synapses, one[s]..one[s + 1] */
void segments(int32_t *restrict slot, const int64_t *first, const int32_t *target, const int64_t *weight,
              const int32_t *length, const int8_t *restrict weights, const int64_t *one, const int32_t *one_target,
              const int8_t *one_weight, const int32_t *source, long spikes) {
    for (long k = 0; k < spikes; k++) {
        int32_t s = source[k];
        for (int64_t j = first[s]; j < first[s + 1]; j++) {
            int32_t *to = slot + target[j];
            const int8_t *from = weights + weight[j];
            for (long t = 0; t < length[j]; t++) to[t] += from[t];
        }
        for (int64_t j = one[s]; j < one[s + 1]; j++) slot[one_target[j]] += one_weight[j];
    }
}

/* compaction: numbers of the neurons whose flag is set, and the flags cleared */
long compact_branch(uint8_t *restrict fired, int32_t *restrict out, long n) {
    long found = 0;
    for (long k = 0; k < n; k++)
        if (fired[k]) { out[found++] = (int32_t)k; fired[k] = 0; }
    return found;
}

long compact_plain(uint8_t *restrict fired, int32_t *restrict out, long n) {
    long found = 0;
    for (long k = 0; k < n; k++) { out[found] = (int32_t)k; found += fired[k]; }
    memset(fired, 0, n);
    return found;
}

long compact_words(uint8_t *restrict fired, int32_t *restrict out, long n) {
    long found = 0;
    for (long k = 0; k < n; k += 8) {
        uint64_t word;
        memcpy(&word, fired + k, 8);
        if (!word) continue;
        memset(fired + k, 0, 8);
        while (word) { out[found++] = (int32_t)(k + (__builtin_ctzll(word) >> 3)); word &= word - 1; }
    }
    return found;
}

/* each set of flags is copied and then compacted; `how` 0 copies alone */
long compact(int how, const uint8_t *flags, uint8_t *fired, int32_t *out, long n, long sets, long turns) {
    long found = 0;
    for (long turn = 0; turn < turns; turn++)
        for (long s = 0; s < sets; s++) {
            memcpy(fired, flags + s * n, n);
            __asm__ volatile("" : : "r"(fired) : "memory");
            if (how == 1) found += compact_branch(fired, out, n);
            if (how == 2) found += compact_plain(fired, out, n);
            if (how == 3) found += compact_words(fired, out, n);
        }
    return found;
}

/* STREAM's sum, over int8 rows: what memory gives at most */
long bound(const int8_t *restrict w, const int32_t *source, long spikes, long n) {
    long total = 0;
    for (long k = 0; k < spikes; k++) {
        const int8_t *row = w + (long)source[k] * SIZE(n);
        int8_t sum = 0;
        for (long t = 0; t < SIZE(n); t++) sum += row[t];
        total += sum;
    }
    return total;
}
