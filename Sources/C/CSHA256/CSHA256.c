#include "CSHA256.h"
#include "kernels.h"

#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

/* --- What the machine has --- */

#if defined(__x86_64__)

/* Which register files the operating system saves: XCR0. Source: Intel SDM vol. 1, 13.3. */
static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int has_kernel(int kernel) {
    unsigned a, b, c, d, features, ignored;
    if (kernel == KAPSULE_SHA256_PORTABLE) return 1;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    if (!__get_cpuid_count(7, 0, &ignored, &features, &ignored, &ignored)) return 0;
    const int saves = (c & bit_OSXSAVE) != 0;
    switch (kernel) {
    case KAPSULE_SHA256_SHANI: return (features & bit_SHA) && (c & bit_SSE4_1) && (c & bit_SSSE3) ? 1 : 0;
    case KAPSULE_SHA256_AVX2: return saves && (features & bit_AVX2) && (saved_registers() & 0x06) == 0x06;
    case KAPSULE_SHA256_AVX512:
        return saves && (features & bit_AVX512F) && (features & bit_AVX512BW) && (saved_registers() & 0xe6) == 0xe6;
    default: return 0;
    }
}

#elif defined(__aarch64__)

static int has_kernel(int kernel) {
    if (kernel == KAPSULE_SHA256_PORTABLE) return 1;
    return kernel == KAPSULE_SHA256_ARM && (getauxval(AT_HWCAP) & HWCAP_SHA2) != 0;
}

#else

static int has_kernel(int kernel) { return kernel == KAPSULE_SHA256_PORTABLE; }

#endif

/* A bit for each kernel, and one that says that the question was asked. A virtual machine leaves for its host to ask the
   processor, which takes many microseconds: once in the life of a process is enough. */
static unsigned kernels(void) {
    static _Atomic unsigned known;
    unsigned bits = atomic_load_explicit(&known, memory_order_relaxed);
    if (bits == 0) {
        bits = 1u << KAPSULE_SHA256_KERNELS;
        for (int kernel = 0; kernel < KAPSULE_SHA256_KERNELS; kernel++) bits |= (unsigned)has_kernel(kernel) << kernel;
        atomic_store_explicit(&known, bits, memory_order_relaxed);
    }
    return bits;
}

int kapsule_sha256_available(int kernel) {
    return kernel >= 0 && kernel < KAPSULE_SHA256_KERNELS && (kernels() >> kernel & 1) != 0;
}

int kapsule_sha256_best(void) {
    int kernel = KAPSULE_SHA256_KERNELS - 1;
    while (!kapsule_sha256_available(kernel)) kernel--;
    return kernel;
}

int kapsule_sha256_best_stream(void) {
    if (kapsule_sha256_available(KAPSULE_SHA256_SHANI)) return KAPSULE_SHA256_SHANI;
    if (kapsule_sha256_available(KAPSULE_SHA256_ARM)) return KAPSULE_SHA256_ARM;
    return KAPSULE_SHA256_PORTABLE;
}

/* --- One stream and two --- */

void kapsule_sha256_start(uint32_t state[8]) {
    /* FIPS 180-4, 5.3.3. */
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(state, initial, sizeof initial);
}

void kapsule_sha256_compress(int kernel, uint32_t state[8], const uint8_t *data, size_t blocks) {
    switch (kernel) {
#if defined(__x86_64__)
    case KAPSULE_SHA256_SHANI: kapsule_sha256_shani(state, data, blocks); return;
#elif defined(__aarch64__)
    case KAPSULE_SHA256_ARM: kapsule_sha256_arm(state, data, blocks); return;
#endif
    default: kapsule_sha256_portable(state, data, blocks);
    }
}

void kapsule_sha256_compress_two(
    int kernel, uint32_t first[8], const uint8_t *first_data, uint32_t second[8], const uint8_t *second_data,
    size_t blocks) {
    switch (kernel) {
#if defined(__x86_64__)
    case KAPSULE_SHA256_SHANI: kapsule_sha256_shani_two(first, first_data, second, second_data, blocks); return;
#elif defined(__aarch64__)
    case KAPSULE_SHA256_ARM: kapsule_sha256_arm_two(first, first_data, second, second_data, blocks); return;
#endif
    default:
        kapsule_sha256_portable(first, first_data, blocks);
        kapsule_sha256_portable(second, second_data, blocks);
    }
}

/* --- Many messages --- */

static unsigned lanes_of(int kernel) {
    switch (kernel) {
    case KAPSULE_SHA256_AVX512: return 16;
    case KAPSULE_SHA256_AVX2: return 8;
    case KAPSULE_SHA256_SHANI:
    case KAPSULE_SHA256_ARM: return 2;
    default: return 1;
    }
}

/* Kernels for two streams take two messages at once. */
static void lanes_of_two(int kernel, uint32_t *state, const uint8_t *const *data, size_t blocks) {
    uint32_t first[8], second[8];
    for (int w = 0; w < 8; w++) {
        first[w] = state[2 * w];
        second[w] = state[2 * w + 1];
    }
    kapsule_sha256_compress_two(kernel, first, data[0], second, data[1], blocks);
    for (int w = 0; w < 8; w++) {
        state[2 * w] = first[w];
        state[2 * w + 1] = second[w];
    }
}

static void compress_lanes(int kernel, uint32_t *state, const uint8_t *const *data, size_t blocks) {
    switch (kernel) {
#if defined(__x86_64__)
    case KAPSULE_SHA256_AVX512: kapsule_sha256_avx512_lanes(state, data, blocks); return;
    case KAPSULE_SHA256_AVX2: kapsule_sha256_avx2_lanes(state, data, blocks); return;
#endif
    case KAPSULE_SHA256_SHANI:
    case KAPSULE_SHA256_ARM: lanes_of_two(kernel, state, data, blocks); return;
    default: kapsule_sha256_portable_lanes(state, data, blocks);
    }
}

/* How every message is cut up: whole blocks of the prefix (already in `state`), a head that is prefix and message, whole
   blocks of the message where they lie, and a tail that is message and padding. */
typedef struct {
    uint32_t state[8];
    const uint8_t *rest; /* of the prefix, behind its whole blocks */
    size_t rest_length, head_length, head_blocks, middle_blocks, tail_length, tail_blocks;
    size_t length;
    uint64_t bits;
} shape;

static shape shape_of(const uint8_t *prefix, size_t prefix_length, size_t length) {
    shape s;
    const size_t whole = prefix_length / 64;
    kapsule_sha256_start(s.state);
    kapsule_sha256_compress(kapsule_sha256_best_stream(), s.state, prefix, whole);
    s.rest = prefix + 64 * whole;
    s.rest_length = prefix_length % 64;
    s.length = length;
    s.bits = 8 * ((uint64_t)prefix_length + length);
    /* A message that does not fill the head has only a tail, of which the rest of the prefix is the beginning. */
    const int has_head = s.rest_length > 0 && s.rest_length + length >= 64;
    s.head_blocks = has_head;
    s.head_length = has_head ? 64 - s.rest_length : 0;
    if (has_head || s.rest_length == 0) {
        s.middle_blocks = (length - s.head_length) / 64;
        s.tail_length = (length - s.head_length) % 64;
        s.tail_blocks = s.tail_length + 9 <= 64 ? 1 : 2;
    } else {
        s.middle_blocks = 0;
        s.tail_length = length;
        s.tail_blocks = s.rest_length + length + 9 <= 64 ? 1 : 2;
    }
    return s;
}

/* The last one or two blocks of a message: what is left of it, a bit, zeros, its length in bits. */
static void fill_tail(const shape *s, const uint8_t *message, uint8_t tail[128]) {
    const size_t end = 64 * s->tail_blocks;
    const size_t front = s->head_blocks == 0 ? s->rest_length : 0;
    memset(tail, 0, 128);
    memcpy(tail, s->rest, front);
    memcpy(tail + front, message + s->length - s->tail_length, s->tail_length);
    tail[front + s->tail_length] = 0x80;
    for (int i = 0; i < 8; i++) tail[end - 1 - i] = (uint8_t)(s->bits >> (8 * i));
}

static void hash_group(
    int kernel, unsigned lanes, const shape *s, const uint8_t *messages, size_t count, uint8_t *digests) {
    uint32_t state[8 * KAPSULE_SHA256_MAXIMUM_LANES];
    uint8_t heads[KAPSULE_SHA256_MAXIMUM_LANES][64], tails[KAPSULE_SHA256_MAXIMUM_LANES][128];
    const uint8_t *head[KAPSULE_SHA256_MAXIMUM_LANES], *middle[KAPSULE_SHA256_MAXIMUM_LANES];
    const uint8_t *tail[KAPSULE_SHA256_MAXIMUM_LANES];
    for (unsigned l = 0; l < lanes; l++) {
        /* Lanes without a message of their own repeat the last one; nobody looks at what they give. */
        const uint8_t *message = messages + s->length * (l < count ? l : count - 1);
        for (int w = 0; w < 8; w++) state[w * lanes + l] = s->state[w];
        if (s->head_blocks) {
            memcpy(heads[l], s->rest, s->rest_length);
            memcpy(heads[l] + s->rest_length, message, s->head_length);
        }
        fill_tail(s, message, tails[l]);
        head[l] = heads[l];
        middle[l] = message + s->head_length;
        tail[l] = tails[l];
    }
    compress_lanes(kernel, state, head, s->head_blocks);
    compress_lanes(kernel, state, middle, s->middle_blocks);
    compress_lanes(kernel, state, tail, s->tail_blocks);
    for (unsigned l = 0; l < count; l++)
        for (int w = 0; w < 8; w++) {
            const uint32_t word = state[w * lanes + l];
            uint8_t *out = digests + 32 * l + 4 * w;
            out[0] = (uint8_t)(word >> 24);
            out[1] = (uint8_t)(word >> 16);
            out[2] = (uint8_t)(word >> 8);
            out[3] = (uint8_t)word;
        }
}

void kapsule_sha256_many(
    int kernel, const uint8_t *prefix, size_t prefix_length, const uint8_t *messages, size_t length, size_t count,
    uint8_t *digests) {
    const shape s = shape_of(prefix, prefix_length, length);
    const unsigned lanes = lanes_of(kernel);
    for (size_t done = 0; done < count; done += lanes) {
        const size_t group = count - done < lanes ? count - done : lanes;
        hash_group(kernel, lanes, &s, messages + length * done, group, digests + 32 * done);
    }
}
