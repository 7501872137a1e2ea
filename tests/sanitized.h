// Defines CONVOY_SANITIZED where a sanitizer that takes memory and time of its own is built in.
#pragma once

#if defined(__has_feature)  // clang's way of saying it
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CONVOY_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONVOY_SANITIZED
#endif
