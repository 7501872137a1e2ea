#include "convoy/nn/printed_options.h"

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/suggest.h"
#include "convoy/io/file.h"

namespace convoy::nn {

namespace {

using Kind = OptionValue::Kind;

std::string option_names(const LayerRow& row) {
  std::string text;
  for (const char* name : row.options) text += (text.empty() ? "" : ", ") + std::string(name);
  return text.empty() ? "none" : text;
}

}  // namespace

PrintedOptions::PrintedOptions(const PrintedModule& module, const LayerRow& row) : module_(module) {
  size_t next = 0;
  bool named = false;
  for (const PrintedModule::Option& option : module.options) {
    const std::string where = formatted("{}: {}", nn::to_string(option.at), module.type);
    if (option.name.empty()) {
      if (named)
        raise<ValueError>("{}: a value without a name follows one with a name\nname this one too: {}", where, option_names(row));
      if (next == row.options.size()) {
        raise<ValueError>(
            "{} takes at most {} options, but got another one: {}\n"
            "its options are: {}",
            where, row.options.size(), io::quote(option.value.text), option_names(row));
      }
      values_.emplace_back(row.options[next++], &option.value);
      continue;
    }
    named = true;
    const auto known = std::find_if(row.options.begin(), row.options.end(), [&](const char* name) { return option.name == name; });
    if (known == row.options.end()) {
      const std::vector<std::string> names(row.options.begin(), row.options.end());
      raise<ValueError>(
          "{} has no option {}{}\n"
          "its options are: {}",
          where, io::quote(option.name), did_you_mean(option.name, names), option_names(row));
    }
    if (find(*known) != nullptr) raise<ValueError>("{} got {} twice\nleave one of them out", where, io::quote(option.name));
    values_.emplace_back(*known, &option.value);
  }
  for (size_t i = 0; i < row.required; ++i) {
    if (find(row.options[i]) != nullptr) continue;
    raise<ValueError>(
        "{}: {}.__init__() missing 1 required positional argument: '{}'\n"
        "its options are: {}",
        nn::to_string(module.at), module.type, row.options[i], option_names(row));
  }
}

const OptionValue* PrintedOptions::find(const char* name) const {
  for (const auto& [known, value] : values_) {
    if (known == name) return value;
  }
  return nullptr;
}

void PrintedOptions::refuse(const char* name, const OptionValue& value, std::string_view accepted) const {
  raise<ValueError>(
      "{}: {}: {} is {}\n"
      "{} takes {}",
      nn::to_string(value.at), module_.type, name, io::quote(value.text), name, accepted);
}

int64_t PrintedOptions::integer_of(const char* name, const OptionValue& value, const char* accepted) const {
  if (value.kind != Kind::kInteger) refuse(name, value, accepted);
  return value.integer;
}

int64_t PrintedOptions::integer(const char* name, int64_t otherwise) const {
  const OptionValue* value = find(name);
  return value == nullptr ? otherwise : integer_of(name, *value, "an integer");
}

std::optional<int64_t> PrintedOptions::optional_integer(const char* name) const {
  const OptionValue* value = find(name);
  if (value == nullptr || value->kind == Kind::kNone) return std::nullopt;
  return integer_of(name, *value, "an integer or None");
}

bool PrintedOptions::flag(const char* name, bool otherwise) const {
  const OptionValue* value = find(name);
  if (value == nullptr) return otherwise;
  if (value->kind != Kind::kBool) refuse(name, *value, "True or False");
  return value->integer != 0;
}

Number PrintedOptions::number(const char* name, Number otherwise) const {
  const OptionValue* value = find(name);
  if (value == nullptr) return otherwise;
  if (value->kind == Kind::kInteger) return value->integer;
  if (value->kind != Kind::kFloat) refuse(name, *value, "a number");
  return value->number;
}

std::optional<Number> PrintedOptions::optional_number(const char* name, std::optional<Number> otherwise) const {
  const OptionValue* value = find(name);
  if (value != nullptr && value->kind == Kind::kNone) return std::nullopt;
  return value == nullptr ? otherwise : number(name, 0);
}

IntList PrintedOptions::sizes(const char* name, IntList otherwise) const {
  const OptionValue* value = find(name);
  if (value == nullptr || value->kind == Kind::kNone) return otherwise;
  constexpr const char* kAccepted = "an integer or a tuple of integers";
  if (value->kind != Kind::kTuple) return integer_of(name, *value, kAccepted);
  std::vector<int64_t> values;
  for (const OptionValue& item : value->items) {
    if (item.kind != Kind::kInteger) refuse(name, *value, kAccepted);
    values.push_back(item.integer);
  }
  if (values.empty()) refuse(name, *value, kAccepted);
  return values;
}

std::vector<int64_t> PrintedOptions::list(const char* name) const { return sizes(name).values(); }

OutputSize PrintedOptions::output_size(const char* name) const {
  const OptionValue* value = find(name);
  constexpr const char* kAccepted = "an integer, None or a tuple of these";
  if (value == nullptr) return {};
  if (value->kind == Kind::kNone) return std::nullopt;
  if (value->kind != Kind::kTuple) return integer_of(name, *value, kAccepted);
  AdaptiveSize sizes;
  for (const OptionValue& item : value->items) {
    if (item.kind == Kind::kNone) {
      sizes.emplace_back(std::nullopt);
    } else {
      if (item.kind != Kind::kInteger) refuse(name, *value, kAccepted);
      sizes.emplace_back(item.integer);
    }
  }
  if (sizes.empty()) refuse(name, *value, kAccepted);
  return sizes;
}

Padding PrintedOptions::padding(const char* name) const {
  const OptionValue* value = find(name);
  if (value == nullptr) return 0;
  if (value->kind == Kind::kWord) return value->text;
  if (value->kind != Kind::kTuple || value->items.empty() || value->items[0].kind != Kind::kTuple) return sizes(name, 0);
  std::vector<shape::PadPair> pairs;
  for (const OptionValue& item : value->items) {
    const bool pair = item.kind == Kind::kTuple && item.items.size() == 2 && item.items[0].kind == Kind::kInteger &&
                      item.items[1].kind == Kind::kInteger;
    if (!pair) refuse(name, *value, "an integer, a tuple of integers, begin/end pairs like ((1, 0), (2, 2)), same or valid");
    pairs.push_back({item.items[0].integer, item.items[1].integer});
  }
  return pairs;
}

ScaleFactor PrintedOptions::scale_factor(const char* name) const {
  const OptionValue* value = find(name);
  if (value == nullptr || value->kind == Kind::kNone) return {};
  if (value->kind != Kind::kTuple) return number(name, 0).value();
  std::vector<double> factors;
  for (const OptionValue& item : value->items) {
    if (item.kind != Kind::kInteger && item.kind != Kind::kFloat) refuse(name, *value, "a number or a tuple of numbers");
    factors.push_back(item.number);
  }
  return factors;
}

std::string PrintedOptions::word(const char* name, const char* otherwise) const {
  const OptionValue* value = find(name);
  return value == nullptr ? otherwise : value->text;
}

void PrintedOptions::only(const char* name, const char* value) const {
  const OptionValue* given = find(name);
  if (given != nullptr && given->text != value) refuse(name, *given, std::string(value) + " only");
}

}  // namespace convoy::nn
