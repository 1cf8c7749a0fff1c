// libcurl: what Swift cannot say itself, the variadic setters and getters.
#ifndef GRAFT_CCURL_SHIM_H
#define GRAFT_CCURL_SHIM_H

#include <curl/curl.h>

/* An enumerator in old versions and a macro in new ones, which Swift imports as different types. */
static const long graft_curl_netrc_optional = CURL_NETRC_OPTIONAL;

typedef size_t (*graft_curl_sink)(char *bytes, size_t size, size_t count, void *context);
typedef int (*graft_curl_progress)(
    void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now);

static inline CURLcode graft_curl_set_long(CURL *curl, CURLoption option, long value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode graft_curl_set_string(CURL *curl, CURLoption option, const char *value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode graft_curl_set_list(
    CURL *curl, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode graft_curl_set_sink(CURL *curl, CURLoption option, graft_curl_sink value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode graft_curl_set_pointer(CURL *curl, CURLoption option, void *value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLMcode graft_curl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}

#endif
