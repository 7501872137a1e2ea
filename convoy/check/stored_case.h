// One case of a case file as it is stored, before anything is run.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy::check {

/// The value of an argument: JSON's values, with Python's names for them in messages.
struct Argument {
  enum class Kind : uint8_t { kNone, kBool, kInteger, kNumber, kText, kList, kDict };

  Kind kind = Kind::kNone;
  bool flag = false;
  int64_t integer = 0;
  double number = 0;  // also set for an integer
  std::string text;
  std::vector<Argument> list;     // the entries of a list, the values of a dict
  std::vector<std::string> keys;  // of a dict, one for each value
};

/// A Python-like rendering for messages: "[2, 2]", "'same'", "None".
std::string to_string(const Argument& argument);

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
using NamedArguments = std::map<std::string, Argument>;

/// What a case file says about one call.
struct StoredCase {
  std::string name, op;
  NamedArguments args;
  NamedTensors inputs, outputs, grad_outputs, grads;
  std::map<std::string, double> atol;
  std::optional<std::string> error, error_key;  // set: the call must be refused
  std::optional<std::string> repr;              // `module` cases only
};

/// The cases of a file, all checked: every tensor that a case names is in the file. Errors: FileError.
std::vector<StoredCase> read_case_file(const std::string& path);

}  // namespace convoy::check
