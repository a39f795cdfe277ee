/* Eight messages at once: lane l of every register belongs to message l. */
#if defined(__x86_64__)

#include "kernels.h"
#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))
#define INLINE TARGET static inline __attribute__((always_inline))

#define ADD(x, y) _mm256_add_epi32(x, y)
#define AND(x, y) _mm256_and_si256(x, y)
#define XOR(x, y) _mm256_xor_si256(x, y)
#define ROTATE(x, n) _mm256_or_si256(_mm256_srli_epi32(x, n), _mm256_slli_epi32(x, 32 - (n)))
#define ROTATIONS(x, i, j, k) XOR(XOR(ROTATE(x, i), ROTATE(x, j)), ROTATE(x, k))
#define SMALL_SIGMA(x, i, j, k) XOR(XOR(ROTATE(x, i), ROTATE(x, j)), _mm256_srli_epi32(x, k))

/* Takes 32 bytes of each message and turns them: w[i] gets word i of all eight. */
INLINE void load_half(__m256i w[8], const uint8_t *const *data, size_t offset) {
    const __m256i swap = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL));
    __m256i a[8], b[8];
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) a[i] = _mm256_loadu_si256((const __m256i *)(data[i] + offset));
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i += 4) {
        a[i] = _mm256_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm256_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm256_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
        w[i] = _mm256_shuffle_epi8(_mm256_permute2x128_si256(a[i], a[4 + i], 0x20), swap);
        w[4 + i] = _mm256_shuffle_epi8(_mm256_permute2x128_si256(a[i], a[4 + i], 0x31), swap);
    }
}

/* Word i of the message schedule, made in place of word i - 16. */
INLINE __m256i word(__m256i w[16], int i) {
    if (i < 16) return w[i];
    __m256i x = w[(i + 1) & 15], y = w[(i + 14) & 15];
    __m256i sum = ADD(ADD(w[i & 15], w[(i + 9) & 15]), ADD(SMALL_SIGMA(x, 7, 18, 3), SMALL_SIGMA(y, 17, 19, 10)));
    return w[i & 15] = sum;
}

TARGET void kapsule_sha256_avx2_lanes(uint32_t *state, const uint8_t *const *data, size_t blocks) {
    __m256i s[8];
    for (int i = 0; i < 8; i++) s[i] = _mm256_loadu_si256((const __m256i *)(state + 8 * i));
    for (size_t block = 0; block < blocks; block++) {
        __m256i w[16], v[8];
        load_half(w, data, 64 * block);
        load_half(w + 8, data, 64 * block + 32);
        for (int i = 0; i < 8; i++) v[i] = s[i];
#pragma clang loop unroll(full)
        for (int i = 0; i < 64; i++) {
            /* Instead of moving the eight words along, the names move: word n is v[(n - i) mod 8]. */
            __m256i a = v[(64 - i) & 7], b = v[(65 - i) & 7], c = v[(66 - i) & 7], d = v[(67 - i) & 7];
            __m256i e = v[(68 - i) & 7], f = v[(69 - i) & 7], g = v[(70 - i) & 7], h = v[(71 - i) & 7];
            __m256i k = _mm256_set1_epi32((int)kapsule_sha256_constants[i]);
            __m256i choose = XOR(g, AND(e, XOR(f, g)));
            __m256i majority = XOR(AND(XOR(a, b), XOR(b, c)), b);
            __m256i t = ADD(ADD(ADD(h, k), word(w, i)), ADD(ROTATIONS(e, 6, 11, 25), choose));
            v[(67 - i) & 7] = ADD(d, t);
            v[(71 - i) & 7] = ADD(t, ADD(ROTATIONS(a, 2, 13, 22), majority));
        }
        for (int i = 0; i < 8; i++) s[i] = ADD(s[i], v[i]);
    }
    for (int i = 0; i < 8; i++) _mm256_storeu_si256((__m256i *)(state + 8 * i), s[i]);
}

#endif
