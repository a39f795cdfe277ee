/* The Armv8 cryptography extensions, two streams at once.

   Source: Arm C Language Extensions, "SHA-256 intrinsics"; Arm Architecture Reference Manual, SHA256H. */
#if defined(__aarch64__)

#include "kernels.h"
#include <arm_neon.h>

#define TARGET __attribute__((target("sha2")))
#define INLINE TARGET static inline __attribute__((always_inline))

typedef struct {
    uint32x4_t abcd, efgh;
} registers;

/* Sixteen words of the message schedule. */
typedef struct {
    uint32x4_t w[4];
} schedule;

INLINE registers load_state(const uint32_t *state) { return (registers){vld1q_u32(state), vld1q_u32(state + 4)}; }

INLINE void store_state(uint32_t *state, registers r) {
    vst1q_u32(state, r.abcd);
    vst1q_u32(state + 4, r.efgh);
}

INLINE void load_block(schedule *s, const uint8_t *data) {
    for (int i = 0; i < 4; i++) s->w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
}

/* Words 4i to 4i + 3 of the schedule, made in place of those 16 earlier. */
INLINE uint32x4_t words(schedule *s, int i) {
    if (i < 4) return s->w[i];
    uint32x4_t first = vsha256su0q_u32(s->w[i & 3], s->w[(i + 1) & 3]);
    return s->w[i & 3] = vsha256su1q_u32(first, s->w[(i + 2) & 3], s->w[(i + 3) & 3]);
}

INLINE void four_rounds(registers *r, uint32x4_t x) {
    uint32x4_t abcd = r->abcd;
    r->abcd = vsha256hq_u32(abcd, r->efgh, x);
    r->efgh = vsha256h2q_u32(r->efgh, abcd, x);
}

INLINE void add(registers *r, registers before) {
    r->abcd = vaddq_u32(r->abcd, before.abcd);
    r->efgh = vaddq_u32(r->efgh, before.efgh);
}

TARGET void kapsule_sha256_arm(uint32_t state[8], const uint8_t *data, size_t blocks) {
    registers r = load_state(state);
    for (; blocks > 0; blocks--, data += 64) {
        const registers before = r;
        schedule s;
        load_block(&s, data);
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++)
            four_rounds(&r, vaddq_u32(words(&s, i), vld1q_u32(kapsule_sha256_constants + 4 * i)));
        add(&r, before);
    }
    store_state(state, r);
}

TARGET void kapsule_sha256_arm_two(
    uint32_t first[8], const uint8_t *first_data, uint32_t second[8], const uint8_t *second_data, size_t blocks) {
    registers p = load_state(first), q = load_state(second);
    for (; blocks > 0; blocks--, first_data += 64, second_data += 64) {
        const registers p_before = p, q_before = q;
        schedule s, t;
        load_block(&s, first_data);
        load_block(&t, second_data);
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) {
            uint32x4_t k = vld1q_u32(kapsule_sha256_constants + 4 * i);
            four_rounds(&p, vaddq_u32(words(&s, i), k));
            four_rounds(&q, vaddq_u32(words(&t, i), k));
        }
        add(&p, p_before);
        add(&q, q_before);
    }
    store_state(first, p);
    store_state(second, q);
}

#endif
