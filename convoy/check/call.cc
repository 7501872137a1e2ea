#include "convoy/check/call.h"

#include <algorithm>

namespace convoy::check {
namespace {

[[noreturn]] void wrong_type(const char* name, const Argument& argument, const char* wanted) {
  throw BadCall(std::string("argument '") + name + "' is " + to_string(argument) + ", not " + wanted);
}

int64_t integer_of(const char* name, const Argument& argument, const Argument& part) {
  if (part.kind != Argument::Kind::kInteger) wrong_type(name, argument, "an integer or a list of integers");
  return part.integer;
}

}  // namespace

const Argument* Arguments::find(const char* name) const {
  used_.insert(name);
  const auto found = arguments_.find(name);
  return found == arguments_.end() || found->second.kind == Argument::Kind::kNone ? nullptr : &found->second;
}

bool Arguments::given(const char* name) const {
  used_.insert(name);
  return arguments_.contains(name);
}

const Argument& Arguments::required(const char* name) const {
  const Argument* argument = find(name);
  if (argument == nullptr) throw BadCall(std::string("argument '") + name + "' is missing");
  return *argument;
}

bool Arguments::flag(const char* name, bool otherwise) const {
  const Argument* argument = find(name);
  if (argument == nullptr) return otherwise;
  if (argument->kind != Argument::Kind::kBool) wrong_type(name, *argument, "a bool");
  return argument->flag;
}

int64_t Arguments::integer(const char* name, std::optional<int64_t> otherwise) const {
  const Argument* argument = otherwise ? find(name) : &required(name);
  if (argument == nullptr) return *otherwise;
  if (argument->kind != Argument::Kind::kInteger) wrong_type(name, *argument, "an integer");
  return argument->integer;
}

double Arguments::number(const char* name, double otherwise) const {
  const Argument* argument = find(name);
  if (argument == nullptr) return otherwise;
  if (argument->kind != Argument::Kind::kInteger && argument->kind != Argument::Kind::kNumber)
    wrong_type(name, *argument, "a number");
  return argument->number;
}

std::string Arguments::text(const char* name, const char* otherwise) const {
  const Argument* argument = find(name);
  if (argument == nullptr) return otherwise;
  if (argument->kind != Argument::Kind::kText) wrong_type(name, *argument, "a string");
  return argument->text;
}

IntList Arguments::axes(const char* name, const IntList& otherwise) const {
  return find(name) == nullptr ? otherwise : required_axes(name);
}

IntList Arguments::required_axes(const char* name) const {
  const Argument& argument = required(name);
  if (argument.kind != Argument::Kind::kList) return integer_of(name, argument, argument);
  std::vector<int64_t> values;
  for (const Argument& entry : argument.list) values.push_back(integer_of(name, argument, entry));
  return values;
}

std::vector<int64_t> Arguments::sizes(const char* name) const { return axes(name, IntList()).values(); }

std::vector<double> Arguments::numbers(const char* name) const {
  const Argument* argument = find(name);
  if (argument == nullptr) return {};
  if (argument->kind != Argument::Kind::kList) return {number(name, 0)};
  std::vector<double> values;
  for (const Argument& entry : argument->list) {
    if (entry.kind != Argument::Kind::kInteger && entry.kind != Argument::Kind::kNumber)
      wrong_type(name, *argument, "a number or a list of numbers");
    values.push_back(entry.number);
  }
  return values;
}

AdaptiveSize Arguments::adaptive_size(const char* name, int rank) const {
  const Argument& argument = required(name);
  if (argument.kind != Argument::Kind::kList) return AdaptiveSize(static_cast<size_t>(rank), integer_of(name, argument, argument));
  AdaptiveSize sizes;
  for (const Argument& entry : argument.list) {
    sizes.push_back(entry.kind == Argument::Kind::kNone ? std::nullopt : std::optional<int64_t>(integer_of(name, argument, entry)));
  }
  return sizes;
}

Padding Arguments::padding(const char* name) const {
  const Argument* argument = find(name);
  if (argument != nullptr && argument->kind == Argument::Kind::kText) return argument->text;
  return axes(name, 0);
}

std::vector<std::string> Arguments::unused() const {
  std::vector<std::string> names;
  for (const auto& [name, argument] : arguments_) {
    if (argument.kind != Argument::Kind::kNone && !used_.contains(name)) names.push_back(name);
  }
  return names;
}

Call::Call(const StoredCase& stored) : args_(stored.args) {
  for (const auto& [name, tensor] : stored.inputs) {
    const auto named = [&name = name](const auto& entry) { return entry.first == name; };
    const bool wanted = stored.error || std::any_of(stored.grads.begin(), stored.grads.end(), named);
    inputs_.emplace_back(name, Variable(tensor, wanted && is_float_or_double(tensor.dtype())));
  }
}

const Variable* Call::find(std::string_view name) const {
  for (const auto& [input_name, input] : inputs_) {
    if (input_name == name) return &input;
  }
  return nullptr;
}

const Variable& Call::input(const char* name) {
  used_.insert(name);
  const Variable* found = find(name);
  if (found == nullptr) throw BadCall(std::string("input '") + name + "' is missing");
  return *found;
}

Variable Call::optional_input(const char* name) {
  used_.insert(name);
  const Variable* found = find(name);
  return found == nullptr ? Variable() : *found;
}

Tensor Call::constant(const char* name) { return input(name).data().clone(); }

Tensor Call::optional_constant(const char* name) {
  const Variable found = optional_input(name);
  return found.defined() ? found.data().clone() : Tensor();
}

std::vector<std::string> Call::unused_inputs() const {
  std::vector<std::string> names;
  for (const auto& [name, input] : inputs_) {
    if (!used_.contains(name)) names.push_back(name);
  }
  return names;
}

}  // namespace convoy::check
