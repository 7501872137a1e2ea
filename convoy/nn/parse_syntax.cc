#include "convoy/nn/parse_syntax.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <system_error>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/io/file.h"
#include "convoy/io/text.h"

namespace convoy::nn {

namespace {

constexpr int kTupleNesting = 4;
constexpr size_t kLongestName = 200;
constexpr size_t kMostValues = 64;  // options of a layer, numbers of a tuple

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) { return is_name_start(c) || is_digit(c) || c == '.' || c == '-'; }

class Parser {
 public:
  Parser(std::string_view text, const ParseLimits& limits) : text_(text), limits_(limits) {
    if (text_.substr(0, 3) == "\xEF\xBB\xBF") at_ = 3;  // a byte order mark
  }

  PrintedModule whole() {
    skip();
    if (done())
      refuse("there is no layer",
             "a network is written as Python prints it, for example\nSequential(\n  (0): Linear(in_features=4, out_features=2)\n)");
    PrintedModule module = parse_module(1);
    skip();
    if (!done()) refuse("expected the end of the text, but found " + found(), "one layer, usually a Sequential, holds all others");
    return module;
  }

 private:
  bool done() const { return at_ >= text_.size(); }
  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  // Continues from where it was asked last: asking from the start each time would cost the square of the length.
  Position position() const {
    if (at_ < counted_) {
      counted_ = 0;
      position_ = {};
    }
    for (; counted_ < at_ && counted_ < text_.size(); ++counted_) {
      if (text_[counted_] == '\n') {
        ++position_.line;
        position_.column = 1;
      } else if ((static_cast<unsigned char>(text_[counted_]) & 0xC0) != 0x80) {
        ++position_.column;
      }
    }
    return position_;
  }

  [[noreturn]] void refuse(std::string_view what, std::string_view fix = {}) const {
    raise<ValueError>("{}: {}\n{}", position(), what, fix);
  }

  std::string found() const {
    if (done()) return "the end of the text";
    size_t end = at_ + 1;
    while (end < text_.size() && end - at_ < 40 && is_name(text_[at_]) && is_name(text_[end])) ++end;
    return io::quote(text_.substr(at_, end - at_));
  }

  void skip() {
    while (!done()) {
      const char c = peek();
      if (c == '#') {
        while (!done() && peek() != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string name() {
    const size_t begin = at_;
    while (!done() && is_name(peek())) ++at_;
    if (at_ - begin > kLongestName) {
      at_ = begin;
      refuse(formatted("a name of more than {} characters", kLongestName));
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  // The text between the parentheses of "(key):", if that is what stands here.
  std::optional<std::string> child_key() {
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != ')' && text_[end] != '\n' && text_[end] != '(') ++end;
    if (end >= text_.size() || text_[end] != ')') return std::nullopt;
    size_t colon = end + 1;
    while (colon < text_.size() && (text_[colon] == ' ' || text_[colon] == '\t')) ++colon;
    if (colon >= text_.size() || text_[colon] != ':') return std::nullopt;
    std::string key(text_.substr(at_ + 1, end - at_ - 1));
    if (key.empty() || key.size() > kLongestName || key.find('.') != std::string::npos || !io::is_shown(key)) {
      refuse(formatted("the name {} of a layer is empty, too long or contains a dot or what is not shown", io::quote(key)),
             "names are like 0 or conv1");
    }
    at_ = colon + 1;
    return key;
  }

  PrintedModule parse_module(int depth) {
    if (depth > limits_.nesting) refuse(formatted("layers are nested more than {} deep", limits_.nesting));
    if (++layers_ > limits_.layers) refuse(formatted("there are more than {} layers", limits_.layers));
    if (!is_name_start(peek()))
      refuse("expected the name of a layer, but found " + found(), "for example Conv2d(1, 8, kernel_size=(3, 3))");
    PrintedModule module;
    module.at = position();
    module.type = name();
    for (const std::string_view prefix : {"torch.", "nn."}) {
      if (module.type.compare(0, prefix.size(), prefix) == 0) module.type.erase(0, prefix.size());
    }
    skip();
    if (peek() != '(') {
      refuse(formatted("expected '(' after {}, but found {}", io::quote(module.type), found()),
             formatted("a layer without options is written {}()", module.type));
    }
    ++at_;
    while (true) {
      skip();
      if (done()) refuse(formatted("the ')' of {} is missing", module.type), formatted("{} starts at {}", module.type, module.at));
      if (peek() == ')') break;
      if (module.options.size() > kMostValues) refuse(formatted("more than {} options in {}", kMostValues, module.type));
      parse_item(module, depth);
      skip();
      if (peek() == ',') {
        ++at_;
      } else if (!done() && peek() != ')' && !starts_line()) {
        refuse(formatted("expected ',' or ')' in {}, but found {}", module.type, found()));
      }
    }
    ++at_;
    return module;
  }

  // Whether only blanks precede this character on its line: PyTorch prints layers on lines of their own, without commas.
  bool starts_line() const {
    for (size_t i = at_; i > 0; --i) {
      if (text_[i - 1] == '\n') return true;
      if (text_[i - 1] != ' ' && text_[i - 1] != '\t') return false;
    }
    return true;
  }

  void parse_item(PrintedModule& module, int depth) {
    const Position at = position();
    if (peek() == '(') {
      if (const std::optional<std::string> key = child_key()) {
        skip();
        module.children.push_back({*key, parse_module(depth + 1)});
        return;
      }
      module.options.push_back({"", parse_value(1), at});
      return;
    }
    if (is_name_start(peek())) {
      const size_t begin = at_;
      const std::string word = name();
      skip();
      if (peek() == '(' && word != "torch.Size") {
        at_ = begin;
        module.children.push_back({"", parse_module(depth + 1)});
        return;
      }
      if (peek() == '=') {
        ++at_;
        skip();
        module.options.push_back({word, parse_value(1), at});
        return;
      }
      at_ = begin;
    }
    module.options.push_back({"", parse_value(1), at});
  }

  OptionValue parse_value(int depth) {
    OptionValue value;
    value.at = position();
    const size_t begin = at_;
    const char c = peek();
    if (c == '(' || c == '[') {
      parse_tuple(value, depth);
    } else if (c == '\'' || c == '"') {
      parse_quoted(value);
    } else if (is_digit(c) || c == '-' || c == '+' || c == '.') {
      parse_number(value);
    } else if (is_name_start(c)) {
      const std::string word = name();
      if (word == "torch.Size" && peek() == '(') {
        ++at_;
        skip();
        value = parse_value(depth);
        skip();
        if (peek() != ')') refuse("expected ')' after torch.Size(...");
        ++at_;
        return value;
      }
      parse_word(value, word);
    } else {
      refuse("expected a value, but found " + found());
    }
    if (value.kind != OptionValue::Kind::kWord) value.text = std::string(text_.substr(begin, at_ - begin));
    return value;
  }

  void parse_tuple(OptionValue& value, int depth) {
    if (depth > kTupleNesting) refuse(formatted("parentheses are nested more than {} deep", kTupleNesting));
    value.kind = OptionValue::Kind::kTuple;
    const char close = peek() == '(' ? ')' : ']';
    ++at_;
    while (true) {
      skip();
      if (peek() == close) break;
      if (value.items.size() == kMostValues) refuse(formatted("more than {} values in parentheses", kMostValues));
      value.items.push_back(parse_value(depth + 1));
      skip();
      if (peek() == ',')
        ++at_;
      else if (peek() != close)
        refuse(formatted("expected ',' or '{}', but found {}", close, found()));
    }
    ++at_;
  }

  void parse_quoted(OptionValue& value) {
    const char quote = peek();
    const size_t end = text_.find_first_of(quote == '"' ? "\"\n" : "'\n", at_ + 1);
    if (end == std::string_view::npos || text_[end] != quote) refuse(formatted("the closing {} is missing", quote));
    value.kind = OptionValue::Kind::kWord;
    value.text = std::string(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
  }

  void parse_word(OptionValue& value, const std::string& word) {
    using Kind = OptionValue::Kind;
    if (word == "True" || word == "False") {
      value.kind = Kind::kBool;
      value.integer = word == "True";
    } else if (word == "None") {
      value.kind = Kind::kNone;
    } else if (word == "inf" || word == "nan") {
      value.kind = Kind::kFloat;
      value.number = word == "inf" ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
    } else {
      value.kind = Kind::kWord;
      value.text = word;
    }
  }

  void parse_number(OptionValue& value) {
    const size_t begin = at_;
    if (peek() == '+') ++at_;
    const size_t digits = at_;
    while (!done() && (is_name(peek()) || ((peek() == '+') && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E')))) ++at_;
    const std::string_view token = text_.substr(digits, at_ - digits);
    const char *first = token.data(), *last = token.data() + token.size();
    const auto refuse_token = [&](const std::string& why) {
      at_ = begin;
      refuse(formatted("{} {}", io::quote(token), why));
    };
    const std::from_chars_result whole = std::from_chars(first, last, value.integer);
    if (whole.ec == std::errc() && whole.ptr == last) {
      value.kind = OptionValue::Kind::kInteger;
      value.number = static_cast<double>(value.integer);
      return;
    }
    if (whole.ec == std::errc::result_out_of_range && whole.ptr == last) refuse_token("is too large: integers have 64 bits");
    const std::from_chars_result real = std::from_chars(first, last, value.number);
    if (real.ec == std::errc::result_out_of_range && real.ptr == last) refuse_token("is outside the range of float64");
    if (real.ec != std::errc() || real.ptr != last) refuse_token("is not a number");
    value.kind = OptionValue::Kind::kFloat;
  }

  std::string_view text_;
  const ParseLimits& limits_;
  size_t at_ = 0;
  int64_t layers_ = 0;
  mutable size_t counted_ = 0;
  mutable Position position_;
};

}  // namespace

std::string to_string(const Position& at) { return formatted("line {}, column {}", at.line, at.column); }

PrintedModule parse_syntax(std::string_view text, const ParseLimits& limits) {
  if (text.size() > limits.bytes) {
    raise<ValueError>(
        "the text has {} bytes, more than {}\n"
        "a printed form is a few kilobytes long; values go into a safetensors file",
        text.size(), limits.bytes);
  }
  return Parser(text, limits).whole();
}

}  // namespace convoy::nn
