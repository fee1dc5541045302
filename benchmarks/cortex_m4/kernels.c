/* The loops of a neuron core as C that is equivalent to what docs/arithmetic.md and docs/image.md say: what one packet,
 * one synapse word, one neuron and one recorded word take. Not the published applications, whose source is not at hand.
 * count.py compiles it for a Cortex-M4F and counts. */
#include <stdint.h>

typedef struct { uint32_t key, offset, count; } entry_t;
typedef struct { uint32_t key, count, zero; } header_t;
typedef struct { float threshold, decay, offset, v_reset, syn_decay, bias; uint32_t flags, subtract; } neuron_t;
typedef struct { float v, i; } state_t;
typedef struct { uint32_t dy, dx, pad, pool, out_h, out_w, channels, kernel; } geometry_t;

#define N 256
#define KEEP __attribute__((noinline, used))

neuron_t parameters[N];
state_t state[N];
int32_t slot[8][N];
uint8_t held[N];
uint32_t spiked[N / 32 + 1];
entry_t table[N];
uint8_t rows[N * 64] __attribute__((aligned(4)));
uint32_t fifo[512];
uint32_t head, tail;
int8_t kernels[64 * 9 * 32] __attribute__((aligned(4)));
uint32_t records[4096];
volatile uint32_t router;  /* a store to it sends a packet */

/* lif: decay, input, offset, threshold, reset at once by subtraction or to a value */
KEEP void neuron_lif(uint32_t n)
{
    int32_t *in = slot[0];
    for (uint32_t k = 0; k < n; k++) {
        const neuron_t *p = &parameters[k];
        float v = p->decay * state[k].v;
        v = v + (float)in[k];
        v = v + p->offset;
        in[k] = 0;
        if (v >= p->threshold) {
            spiked[k >> 5] |= 1u << (k & 31);
            v = p->flags & 4 ? p->v_reset : v - p->threshold;
        }
        state[k].v = v;
    }
}

/* lif_curr_exp: the current decays too, and a refractory time is kept */
KEEP void neuron_curr_exp(uint32_t n)
{
    int32_t *in = slot[0];
    for (uint32_t k = 0; k < n; k++) {
        const neuron_t *p = &parameters[k];
        float i = p->syn_decay * state[k].i;
        i = i + (float)in[k];
        i = i + p->bias;
        in[k] = 0;
        state[k].i = i;
        if (held[k]) {
            held[k]--;
            continue;
        }
        float v = p->decay * state[k].v;
        v = v + i;
        v = v + p->offset;
        if (v >= p->threshold) {
            spiked[k >> 5] |= 1u << (k & 31);
            v = p->flags & 4 ? p->v_reset : v - p->threshold;
            held[k] = p->flags >> 8;
        }
        state[k].v = v;
    }
}

/* a packet of `n` table entries: taken from the FIFO, its key looked up by bisection, its row found and left */
KEEP uint32_t packet_row(uint32_t n)
{
    uint32_t key = fifo[tail & 511];
    tail++;
    uint32_t low = 0, high = n;
    while (high - low > 1) {
        uint32_t mid = (low + high) >> 1;
        if (table[mid].key <= key)
            low = mid;
        else
            high = mid;
    }
    if (table[low].key != key)
        return 0;
    const header_t *row = (const header_t *)(rows + table[low].offset);
    return row->key == key ? row->count : 0;
}

/* the interrupt that takes a packet from the router into the FIFO */
KEEP void packet_interrupt(uint32_t key)
{
    uint32_t next = head + 1;
    if (next - tail > 512)
        return;
    fifo[head & 511] = key;
    head = next;
}

/* `n` words of a row: size, type, target (lif_no_delay) */
KEEP void row_no_delay(uint32_t n)
{
    const uint16_t *word = (const uint16_t *)(rows + sizeof(header_t)), *end = word + n;
    int32_t *in = slot[0];
    while (word < end) {
        uint32_t w = *word++;
        int32_t weight = w >> 9;
        in[w & 0xFF] += w & 0x100 ? -weight : weight;
    }
}

/* `n` words with delays: the slot of the ring is found for each (lif) */
KEEP void row_delay(uint32_t n)
{
    const uint16_t *word = (const uint16_t *)(rows + sizeof(header_t)), *end = word + n;
    uint32_t now = head;
    while (word < end) {
        uint32_t w = *word++;
        int32_t weight = w >> 12;
        slot[(now + (w >> 9)) & 7][w & 0xFF] += w & 0x100 ? -weight : weight;
    }
}

/* `n` words of int8 weight and 8-bit target (compact) */
KEEP void row_compact(uint32_t n)
{
    const uint16_t *word = (const uint16_t *)rows, *end = word + n;
    int32_t *in = slot[0];
    while (word < end) {
        uint32_t w = *word++;
        in[w & 0xFF] += (int8_t)(w >> 8);
    }
}

/* `n` words of int8 weight, 8-bit delay and 16-bit target (dram), when they have come */
KEEP void row_dram(uint32_t n)
{
    const uint32_t *word = (const uint32_t *)rows, *end = word + n;
    uint32_t now = head;
    while (word < end) {
        uint32_t w = *word++;
        slot[(now + ((w >> 16) & 0xFF)) & 7][w & 0xFF] += (int8_t)(w >> 24);
    }
}

/* a packet of a convolution of one pixel, 3 x 3 kernels, stride 1, `n` channels: taps that meet targets */
KEEP void conv_packet(uint32_t n)
{
    static const geometry_t g = {3, 3, 1, 0, 16, 16, 0, 0};
    uint32_t key = fifo[tail & 511];
    tail++;
    uint32_t y = (key >> 4) & 15, x = key & 15, c = (key >> 8) & 7;
    const int8_t *kernel = kernels + c * 9 * n;
    for (uint32_t ky = 0; ky < g.dy; ky++) {
        int32_t oy = (int32_t)(y + g.pad - ky);
        if (oy < 0 || oy >= 2)
            continue;
        for (uint32_t kx = 0; kx < g.dx; kx++) {
            int32_t ox = (int32_t)(x + g.pad - kx);
            if (ox < 0 || ox >= 4)
                continue;
            const int8_t *w = kernel + (ky * 3 + kx) * n;
            int32_t *in = slot[0] + (oy * 4 + ox) * n;
            for (uint32_t k = 0; k < n; k++)
                in[k] += w[k];
        }
    }
}

/* `n` words of a spike record, with its time and its key */
KEEP void record_spikes(uint32_t n)
{
    uint32_t *to = records + head;
    to[0] = head;
    to[1] = tail;
    for (uint32_t k = 0; k < n; k++) {
        to[2 + k] = spiked[k];
        spiked[k] = 0;
    }
    head += n + 2;
}

/* `n` words of a voltage record */
KEEP void record_voltages(uint32_t n)
{
    float *to = (float *)(records + head);
    for (uint32_t k = 0; k < n; k++)
        to[k] = state[k].v;
    head += n;
}

/* `n` packets sent: the bits of one word that are set */
KEEP void send_spikes(uint32_t n)
{
    uint32_t bits = n == 32 ? 0xFFFFFFFFu : (1u << n) - 1, key = head;
    while (bits) {
        uint32_t low = __builtin_ctz(bits);
        bits &= bits - 1;
        router = key | low;
    }
}

/* `n` packets that a relay passes on */
KEEP void relay(uint32_t n)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t key = fifo[tail & 511];
        tail++;
        if ((key & 0xFFFFFF00u) == head)
            router = (key & 0xFF) | 0x1000u;
    }
}
