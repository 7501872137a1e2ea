// Text from files: whether a screen shows it as what it is.
#pragma once

#include <cstddef>
#include <string_view>

namespace convoy::io {

/// The bytes of the character at the front of `text` if it is shown as itself. 0 for what can pass for something else: control
/// characters, what is not UTF-8, characters without width, and those that turn the direction of writing round (a name with U+202E
/// in it can end in ".png" on the screen and in ".exe" in the file). `text` must not be empty.
size_t shown_character(std::string_view text);

/// Whether every character of `text` is shown as itself.
bool is_shown(std::string_view text);

}  // namespace convoy::io
