#include "convoy/check/stored_case.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "convoy/core/error.h"
#include "convoy/io/safetensors.h"

namespace convoy::check {
namespace {

using nlohmann::json;

constexpr int kDeepestArgument = 8;

/// Reads the cases of one file; every refusal names the file and, once known, the case.
class Reader {
 public:
  Reader(const std::string& path, const io::SafeTensors& file) : path_(path), file_(file) {}

  std::vector<StoredCase> cases() {
    const auto found = file_.metadata.find("cases");
    if (found == file_.metadata.end()) {
      refuse("not a case file: its __metadata__ has no \"cases\"", "tools/make_cases.py writes case files");
    }
    const json list = json::parse(found->second, nullptr, false);
    if (list.is_discarded()) refuse("\"cases\" is not JSON");
    if (!list.is_array()) refuse("\"cases\" is not a JSON array");
    std::vector<StoredCase> cases;
    cases.reserve(list.size());
    for (const json& item : list) {
      where_ = "case " + std::to_string(cases.size());
      cases.push_back(stored_case(item));
    }
    return cases;
  }

 private:
  [[noreturn]] void refuse(const std::string& what, const std::string& fix = {}) const {
    throw FileError(path_ + ": " + (where_.empty() ? "" : where_ + ": ") + what, fix);
  }

  StoredCase stored_case(const json& item) {
    if (!item.is_object()) refuse("not a JSON object");
    StoredCase out;
    out.name = text(item, "name").value_or("");
    if (out.name.empty()) refuse("no \"name\"");
    where_ = "case " + out.name;
    out.op = text(item, "op").value_or("");
    if (out.op.empty()) refuse("no \"op\"");
    if (const json* args = object(item, "args")) {
      for (const auto& [key, value] : args->items()) out.args.emplace(key, argument(value, 0));
    }
    out.inputs = tensors(item, "inputs");
    out.error = text(item, "error");
    out.error_key = text(item, "error_key");
    out.outputs = tensors(item, "outputs");
    out.grad_outputs = tensors(item, "grad_outputs");
    out.grads = tensors(item, "grads");
    out.repr = text(item, "repr");
    if (const json* atol = object(item, "atol")) {
      for (const auto& [key, value] : atol->items()) {
        if (!value.is_number() || !(value.get<double>() >= 0)) refuse("atol of \"" + key + "\" is not a number of 0 or more");
        out.atol[key] = value.get<double>();
      }
    }
    if (!out.error && out.outputs.empty() && !out.repr) refuse("neither outputs, nor an error, nor a repr");
    return out;
  }

  std::optional<std::string> text(const json& item, const char* key) const {
    const auto found = item.find(key);
    if (found == item.end() || found->is_null()) return std::nullopt;
    if (!found->is_string()) refuse(std::string("\"") + key + "\" is not a string");
    return found->get<std::string>();
  }

  const json* object(const json& item, const char* key) const {
    const auto found = item.find(key);
    if (found == item.end() || found->is_null()) return nullptr;
    if (!found->is_object()) refuse(std::string("\"") + key + "\" is not a JSON object");
    return &*found;
  }

  NamedTensors tensors(const json& item, const char* key) const {
    NamedTensors out;
    const json* names = object(item, key);
    if (names == nullptr) return out;
    for (const auto& [argument_name, tensor_name] : names->items()) {
      if (!tensor_name.is_string()) refuse("\"" + argument_name + "\" of \"" + key + "\" is not the name of a tensor");
      const Tensor* tensor = file_.find(tensor_name.get<std::string>());
      if (tensor == nullptr) {
        refuse("\"" + argument_name + "\" of \"" + key + "\" is the tensor \"" + tensor_name.get<std::string>() +
               "\", which the file does not hold");
      }
      out.emplace_back(argument_name, *tensor);
    }
    return out;
  }

  Argument argument(const json& value, int depth) const {
    Argument out;
    if (value.is_null()) return out;
    if (value.is_boolean()) {
      out.kind = Argument::Kind::kBool;
      out.flag = value.get<bool>();
    } else if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
      refuse("the number " + value.dump() + " does not fit 64 bits");
    } else if (value.is_number_integer()) {
      out.kind = Argument::Kind::kInteger;
      out.integer = value.get<int64_t>();
      out.number = static_cast<double>(out.integer);
    } else if (value.is_number()) {
      out.kind = Argument::Kind::kNumber;
      out.number = value.get<double>();
    } else if (value.is_string()) {
      out.kind = Argument::Kind::kText;
      out.text = value.get<std::string>();
    } else if (value.is_array() && depth < kDeepestArgument) {
      out.kind = Argument::Kind::kList;
      for (const json& entry : value) out.list.push_back(argument(entry, depth + 1));
    } else if (value.is_object() && depth < kDeepestArgument) {
      out.kind = Argument::Kind::kDict;
      for (const auto& [key, entry] : value.items()) {
        out.keys.push_back(key);
        out.list.push_back(argument(entry, depth + 1));
      }
    } else {
      refuse("an argument is nested more than " + std::to_string(kDeepestArgument) + " deep");
    }
    return out;
  }

  const std::string& path_;
  const io::SafeTensors& file_;
  std::string where_;
};

}  // namespace

std::string to_string(const Argument& argument) {
  switch (argument.kind) {
    case Argument::Kind::kNone:
      return "None";
    case Argument::Kind::kBool:
      return argument.flag ? "True" : "False";
    case Argument::Kind::kInteger:
      return std::to_string(argument.integer);
    case Argument::Kind::kNumber:
      return std::to_string(argument.number);
    case Argument::Kind::kText:
      return "'" + argument.text + "'";
    case Argument::Kind::kList:
    case Argument::Kind::kDict:
      break;
  }
  const bool dict = argument.kind == Argument::Kind::kDict;
  std::string out;
  for (size_t i = 0; i < argument.list.size(); ++i) {
    out += (i > 0 ? ", " : "") + (dict ? "'" + argument.keys[i] + "': " : "") + to_string(argument.list[i]);
  }
  return dict ? "{" + out + "}" : "[" + out + "]";
}

std::vector<StoredCase> read_case_file(const std::string& path) {
  const io::SafeTensors file = io::read_safetensors(path);
  return Reader(path, file).cases();
}

}  // namespace convoy::check
