// Throwing an error with values in its text.
#pragma once

#include <cstdint>

#include "convoy/core/error.h"
#include "convoy/core/formatted.h"

namespace convoy {
namespace detail {

template <class Kind>
[[noreturn, gnu::cold]] void raise(const char* pattern, uint64_t kinds, ...);

extern template void raise<Error>(const char*, uint64_t, ...);
extern template void raise<ValueError>(const char*, uint64_t, ...);
extern template void raise<ShapeMismatch>(const char*, uint64_t, ...);
extern template void raise<OutOfMemory>(const char*, uint64_t, ...);
extern template void raise<FileError>(const char*, uint64_t, ...);

}  // namespace detail

/// Throws a Kind of Error. The pattern is filled in as by formatted(); its first line is the error's reason, the second its fix.
template <class Kind, class... Values>
[[noreturn, gnu::always_inline]] inline void raise(detail::Pattern<sizeof...(Values)> pattern, const Values&... values) {
  detail::raise<Kind>(pattern.text, detail::value_kinds<Values...>(), detail::value_word(detail::travelling(values))...);
}

}  // namespace convoy
