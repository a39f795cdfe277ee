/* Sixteen messages at once: lane l of every register belongs to message l. AVX-512 has a rotation and any function of
   three bits as one instruction each, which is what SHA-256 is made of. */
#if defined(__x86_64__)

#include "kernels.h"
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw")))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { XOR3 = 0x96, CHOOSE = 0xca, MAJORITY = 0xe8 };

#define ADD(x, y) _mm512_add_epi32(x, y)
#define XOR_OF(x, y, z) _mm512_ternarylogic_epi32(x, y, z, XOR3)
#define ROTATIONS(x, i, j, k)                                                                                     \
    XOR_OF(_mm512_ror_epi32(x, i), _mm512_ror_epi32(x, j), _mm512_ror_epi32(x, k))
#define SMALL_SIGMA(x, i, j, k)                                                                                   \
    XOR_OF(_mm512_ror_epi32(x, i), _mm512_ror_epi32(x, j), _mm512_srli_epi32(x, k))

/* Takes 64 bytes of each message and turns them: w[i] gets word i of all sixteen. */
INLINE void load_blocks(__m512i w[16], const uint8_t *const *data, size_t offset) {
    const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL));
    __m512i a[16], b[16];
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) a[i] = _mm512_loadu_si512(data[i] + offset);
    /* Pairs of words, then of pairs, within each quarter of a register. */
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i += 4) {
        a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
    /* Quarter q of a[4g + i] now holds word 4q + i of messages 4g to 4g + 3: the quarters change places. */
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
        __m512i even01 = _mm512_shuffle_i32x4(a[i], a[4 + i], 0x88);
        __m512i odd01 = _mm512_shuffle_i32x4(a[i], a[4 + i], 0xdd);
        __m512i even23 = _mm512_shuffle_i32x4(a[8 + i], a[12 + i], 0x88);
        __m512i odd23 = _mm512_shuffle_i32x4(a[8 + i], a[12 + i], 0xdd);
        w[i] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(even01, even23, 0x88), swap);
        w[8 + i] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(even01, even23, 0xdd), swap);
        w[4 + i] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(odd01, odd23, 0x88), swap);
        w[12 + i] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(odd01, odd23, 0xdd), swap);
    }
}

/* Word i of the message schedule, made in place of word i - 16. */
INLINE __m512i word(__m512i w[16], int i) {
    if (i < 16) return w[i];
    __m512i x = w[(i + 1) & 15], y = w[(i + 14) & 15];
    __m512i sum = ADD(ADD(w[i & 15], w[(i + 9) & 15]), ADD(SMALL_SIGMA(x, 7, 18, 3), SMALL_SIGMA(y, 17, 19, 10)));
    return w[i & 15] = sum;
}

TARGET void kapsule_sha256_avx512_lanes(uint32_t *state, const uint8_t *const *data, size_t blocks) {
    __m512i s[8];
    for (int i = 0; i < 8; i++) s[i] = _mm512_loadu_si512(state + 16 * i);
    for (size_t block = 0; block < blocks; block++) {
        __m512i w[16], v[8];
        load_blocks(w, data, 64 * block);
        for (int i = 0; i < 8; i++) v[i] = s[i];
#pragma clang loop unroll(full)
        for (int i = 0; i < 64; i++) {
            /* Instead of moving the eight words along, the names move: word n is v[(n - i) mod 8]. */
            __m512i a = v[(64 - i) & 7], b = v[(65 - i) & 7], c = v[(66 - i) & 7], d = v[(67 - i) & 7];
            __m512i e = v[(68 - i) & 7], f = v[(69 - i) & 7], g = v[(70 - i) & 7], h = v[(71 - i) & 7];
            __m512i k = _mm512_set1_epi32((int)kapsule_sha256_constants[i]);
            __m512i t = ADD(ADD(ADD(h, k), word(w, i)),
                            ADD(ROTATIONS(e, 6, 11, 25), _mm512_ternarylogic_epi32(e, f, g, CHOOSE)));
            v[(67 - i) & 7] = ADD(d, t);
            v[(71 - i) & 7] =
                ADD(t, ADD(ROTATIONS(a, 2, 13, 22), _mm512_ternarylogic_epi32(a, b, c, MAJORITY)));
        }
        for (int i = 0; i < 8; i++) s[i] = ADD(s[i], v[i]);
    }
    for (int i = 0; i < 8; i++) _mm512_storeu_si512(state + 16 * i, s[i]);
}

#endif
