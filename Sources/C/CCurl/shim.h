#ifndef KAPSULE_CCURL_SHIM_H
#define KAPSULE_CCURL_SHIM_H

#include <curl/curl.h>

/* curl_easy_setopt and curl_easy_getinfo are variadic, which Swift cannot call: one function an argument kind. */

static inline CURLcode kapsule_curl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode kapsule_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode kapsule_curl_set_string(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode kapsule_curl_set_pointer(CURL *handle, CURLoption option, void *value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode kapsule_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(handle, option, value);
}

/* Called with data from the network or with a header line; returns how many bytes were taken. */
typedef size_t (*kapsule_curl_write_callback)(char *bytes, size_t size, size_t count, void *context);
/* Asked for up to size * count bytes of a request body; returns how many were put at `bytes`. */
typedef size_t (*kapsule_curl_read_callback)(char *bytes, size_t size, size_t count, void *context);
/* Called about once a second; non-zero aborts the transfer. */
typedef int (*kapsule_curl_progress_callback)(void *context, curl_off_t downTotal, curl_off_t down,
                                              curl_off_t upTotal, curl_off_t up);

static inline CURLcode kapsule_curl_set_write(CURL *handle, CURLoption option, kapsule_curl_write_callback call) {
    return curl_easy_setopt(handle, option, call);
}
static inline CURLcode kapsule_curl_set_read(CURL *handle, kapsule_curl_read_callback call) {
    return curl_easy_setopt(handle, CURLOPT_READFUNCTION, call);
}
static inline CURLcode kapsule_curl_set_progress(CURL *handle, kapsule_curl_progress_callback call) {
    return curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, call);
}
static inline CURLcode kapsule_curl_get_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}
static inline CURLcode kapsule_curl_get_string(CURL *handle, CURLINFO info, const char **value) {
    return curl_easy_getinfo(handle, info, value);
}
static inline CURLcode kapsule_curl_global_init(void) {
    return curl_global_init(CURL_GLOBAL_DEFAULT);
}

#endif
