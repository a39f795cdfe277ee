/* What the kernels share. Not seen outside this target. */
#ifndef KAPSULE_SHA256_KERNELS_H
#define KAPSULE_SHA256_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* FIPS 180-4, 4.2.2. Aligned so that a kernel may load any four of them at once. */
extern const uint32_t kapsule_sha256_constants[64];

/* Most messages that any kernel takes at once. */
enum { KAPSULE_SHA256_MAXIMUM_LANES = 16 };

/* Functions that end in _lanes advance every lane by `blocks` blocks of 64 bytes, read from `data[lane]`. Word w of lane l is
   state[w * lanes + l], with `lanes` the kernel's own number. */

void kapsule_sha256_portable(uint32_t state[8], const uint8_t *data, size_t blocks);
void kapsule_sha256_portable_lanes(uint32_t *state, const uint8_t *const *data, size_t blocks);

#if defined(__x86_64__)
void kapsule_sha256_shani(uint32_t state[8], const uint8_t *data, size_t blocks);
void kapsule_sha256_shani_two(
    uint32_t first[8], const uint8_t *first_data, uint32_t second[8], const uint8_t *second_data, size_t blocks);
void kapsule_sha256_avx2_lanes(uint32_t *state, const uint8_t *const *data, size_t blocks);
void kapsule_sha256_avx512_lanes(uint32_t *state, const uint8_t *const *data, size_t blocks);
#endif

#if defined(__aarch64__)
void kapsule_sha256_arm(uint32_t state[8], const uint8_t *data, size_t blocks);
void kapsule_sha256_arm_two(
    uint32_t first[8], const uint8_t *first_data, uint32_t second[8], const uint8_t *second_data, size_t blocks);
#endif

#endif
