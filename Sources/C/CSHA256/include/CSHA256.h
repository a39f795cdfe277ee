/* SHA-256 by several kernels: one stream, two streams at once, and many equal-length messages at once.
   Source of the algorithm: FIPS 180-4. Every kernel gives the same digests; they differ in speed only. */
#ifndef KAPSULE_CSHA256_H
#define KAPSULE_CSHA256_H

#include <stddef.h>
#include <stdint.h>

/* The kernels, slowest first on the machines that have them all. */
enum {
    KAPSULE_SHA256_PORTABLE = 0,
    KAPSULE_SHA256_AVX2 = 1,   /* 8 messages at once */
    KAPSULE_SHA256_SHANI = 2,  /* 2 messages at once, x86 SHA extensions */
    KAPSULE_SHA256_ARM = 3,    /* 2 messages at once, Armv8 cryptography extensions */
    KAPSULE_SHA256_AVX512 = 4, /* 16 messages at once */
    KAPSULE_SHA256_KERNELS = 5
};

/* Whether this processor, under this operating system, can run `kernel`. */
int kapsule_sha256_available(int kernel);
/* The fastest available kernel for many messages. */
int kapsule_sha256_best(void);
/* The fastest available kernel for one or two streams: PORTABLE, SHANI or ARM. */
int kapsule_sha256_best_stream(void);

/* Puts the initial hash value into `state`. */
void kapsule_sha256_start(uint32_t state[8]);

/* Advances `state` over `blocks` blocks of 64 bytes, by `kernel`: PORTABLE, SHANI or ARM. */
void kapsule_sha256_compress(int kernel, uint32_t state[8], const uint8_t *data, size_t blocks);

/* Advances two states over as many blocks each, interleaved where the kernel can: nearly the price of one.
   The two inputs may be the same bytes; the two states may not be the same memory. */
void kapsule_sha256_compress_two(
    int kernel, uint32_t first[8], const uint8_t *first_data, uint32_t second[8], const uint8_t *second_data,
    size_t blocks);

/* Hashes `count` messages of `length` bytes, back to back at `messages`, each behind the same `prefix`.
   The digest of message i goes to `digests + 32 * i`. */
void kapsule_sha256_many(
    int kernel, const uint8_t *prefix, size_t prefix_length, const uint8_t *messages, size_t length, size_t count,
    uint8_t *digests);

#endif
