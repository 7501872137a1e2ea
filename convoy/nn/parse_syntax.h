// The grammar of printed forms: text to a tree of names, options and layers, without knowing any layer.
//
//   module := name [ "(" { item [","] } ")" ]
//   item   := "(" key "):" module  |  module  |  [ name "=" ] value
//   value  := number | True | False | None | word | 'text' | "(" values ")" | "[" values "]" | torch.Size(value)
//
// Items are separated by commas or new lines. "#" starts a comment, blank lines are skipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace convoy::nn {

/// Where something stands in the text, both from 1; columns count characters.
struct Position {
  int64_t line = 1, column = 1;
};

/// "line 3, column 8".
std::string to_string(const Position& at);

/// A value between the parentheses of a layer.
struct OptionValue {
  enum class Kind : uint8_t { kInteger, kFloat, kBool, kNone, kWord, kTuple };

  Kind kind = Kind::kNone;
  int64_t integer = 0;  // kInteger, kBool
  double number = 0;    // kInteger, kFloat
  std::string text;     // kWord: the word or the quoted text; otherwise as written
  std::vector<OptionValue> items;
  Position at;
};

struct PrintedChild;

struct PrintedModule {
  struct Option {
    std::string name;  // empty: given by position
    OptionValue value;
    Position at;
  };

  std::string type;
  Position at;
  std::vector<Option> options;
  std::vector<PrintedChild> children;
};

struct PrintedChild {
  std::string name;  // empty if it has none
  PrintedModule module;
};

/// What is refused before anything is built, since a file may come from anyone.
struct ParseLimits {
  size_t bytes = size_t{1} << 20;
  int nesting = 32;
  int64_t layers = 10'000;
  int64_t parameters = int64_t{1} << 28;
};

/// Errors: ValueError "line 3, column 8: expected ')'" with what stood there.
PrintedModule parse_syntax(std::string_view text, const ParseLimits& limits);

}  // namespace convoy::nn
