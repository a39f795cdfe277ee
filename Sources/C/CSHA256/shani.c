/* The x86 SHA extensions. A round instruction waits four cycles or more for the one before it, so two streams, each
   waiting in turn, take little longer than one.

   Source: Intel 64 and IA-32 Architectures Software Developer's Manual, vol. 2, SHA256RNDS2, SHA256MSG1, SHA256MSG2. */
#if defined(__x86_64__)

#include "kernels.h"
#include <immintrin.h>

#define TARGET __attribute__((target("sha,sse4.1,ssse3")))
#define INLINE TARGET static inline __attribute__((always_inline))

/* The order in which the instructions want the eight words, highest first: A B E F, and C D G H. */
typedef struct {
    __m128i abef, cdgh;
} registers;

/* Sixteen words of the message schedule. */
typedef struct {
    __m128i w[4];
} schedule;

INLINE registers load_state(const uint32_t *state) {
    __m128i dcba = _mm_loadu_si128((const __m128i *)state);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)(state + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1);
    __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1b);
    return (registers){_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0)};
}

INLINE void store_state(uint32_t *state, registers r) {
    __m128i feba = _mm_shuffle_epi32(r.abef, 0x1b);
    __m128i dchg = _mm_shuffle_epi32(r.cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

INLINE void load_block(schedule *s, const uint8_t *data) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++)
        s->w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), swap);
}

/* Words 4i to 4i + 3 of the schedule, made in place of those 16 earlier. */
INLINE __m128i words(schedule *s, int i) {
    if (i < 4) return s->w[i];
    __m128i last = s->w[(i + 3) & 3];
    __m128i sum = _mm_add_epi32(
        _mm_sha256msg1_epu32(s->w[i & 3], s->w[(i + 1) & 3]), _mm_alignr_epi8(last, s->w[(i + 2) & 3], 4));
    return s->w[i & 3] = _mm_sha256msg2_epu32(sum, last);
}

INLINE __m128i constants(int i) { return _mm_load_si128((const __m128i *)(kapsule_sha256_constants + 4 * i)); }

TARGET void kapsule_sha256_shani(uint32_t state[8], const uint8_t *data, size_t blocks) {
    registers r = load_state(state);
    for (; blocks > 0; blocks--, data += 64) {
        const registers before = r;
        schedule s;
        load_block(&s, data);
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) {
            __m128i x = _mm_add_epi32(words(&s, i), constants(i));
            r.cdgh = _mm_sha256rnds2_epu32(r.cdgh, r.abef, x);
            r.abef = _mm_sha256rnds2_epu32(r.abef, r.cdgh, _mm_shuffle_epi32(x, 0x0e));
        }
        r.abef = _mm_add_epi32(r.abef, before.abef);
        r.cdgh = _mm_add_epi32(r.cdgh, before.cdgh);
    }
    store_state(state, r);
}

TARGET void kapsule_sha256_shani_two(
    uint32_t first[8], const uint8_t *first_data, uint32_t second[8], const uint8_t *second_data, size_t blocks) {
    registers p = load_state(first), q = load_state(second);
    for (; blocks > 0; blocks--, first_data += 64, second_data += 64) {
        const registers p_before = p, q_before = q;
        schedule s, t;
        load_block(&s, first_data);
        load_block(&t, second_data);
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) {
            __m128i x = _mm_add_epi32(words(&s, i), constants(i));
            __m128i y = _mm_add_epi32(words(&t, i), constants(i));
            p.cdgh = _mm_sha256rnds2_epu32(p.cdgh, p.abef, x);
            q.cdgh = _mm_sha256rnds2_epu32(q.cdgh, q.abef, y);
            p.abef = _mm_sha256rnds2_epu32(p.abef, p.cdgh, _mm_shuffle_epi32(x, 0x0e));
            q.abef = _mm_sha256rnds2_epu32(q.abef, q.cdgh, _mm_shuffle_epi32(y, 0x0e));
        }
        p.abef = _mm_add_epi32(p.abef, p_before.abef);
        p.cdgh = _mm_add_epi32(p.cdgh, p_before.cdgh);
        q.abef = _mm_add_epi32(q.abef, q_before.abef);
        q.cdgh = _mm_add_epi32(q.cdgh, q_before.cdgh);
    }
    store_state(first, p);
    store_state(second, q);
}

#endif
