#include "convoy/nn/module.h"

#include <algorithm>
#include <set>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/io/file.h"
#include "convoy/nn/activation.h"
#include "convoy/nn/error_context.h"
#include "convoy/nn/norm.h"

namespace convoy::nn {

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    lines.push_back(text.substr(begin, end - begin));
  lines.push_back(text.substr(begin));
  return lines;
}

std::string indented(const std::string& text) {
  std::string result;
  for (const char c : text) {
    result.push_back(c);
    if (c == '\n') result += "  ";
  }
  return result;
}

std::string quoted_list(const std::vector<std::string>& keys) {
  std::string text;
  for (size_t i = 0; i < keys.size(); ++i) text += (i > 0 ? ", " : "") + io::quote(keys[i]);
  return text;
}

bool starts_with(const std::string& text, const std::string& prefix) { return text.compare(0, prefix.size(), prefix) == 0; }

void check_name(const std::string& kind, const std::string& name) {
  if (name.empty()) raise<ValueError>("{} name can't be empty string \"\"\ngive it one, such as \"conv1\"", kind);
  if (name.find('.') != std::string::npos)
    raise<ValueError>(
        "{} name can't contain \".\", got: {}\n"
        "a dot separates a module from what is inside it: put it inside another Sequential, or use _",
        kind, name);
}

thread_local ForwardHook* innermost_hook = nullptr;

}  // namespace

Variable Module::operator()(const Variable& input) {
  Variable output = forward(input);
  ForwardHook* const first = innermost_hook;
  if (first == nullptr) return output;
  struct PutBack {
    ForwardHook* hook;
    ~PutBack() { innermost_hook = hook; }
  } const put_back{first};
  innermost_hook = nullptr;  // what a hook calls is not seen
  for (ForwardHook* hook = first; hook != nullptr; hook = hook->outer_) hook->function_(*this, input, output);
  return output;
}

ForwardHook::ForwardHook(Function function) : function_(std::move(function)), outer_(innermost_hook) { innermost_hook = this; }
ForwardHook::~ForwardHook() { innermost_hook = outer_; }
bool ForwardHook::watching() { return innermost_hook != nullptr; }

std::string Module::printed(bool complete) const {
  std::vector<std::string> lines;
  std::string extra = extra_repr();
  if (complete && !unprinted().empty()) extra += (extra.empty() ? "" : ", ") + unprinted();
  if (!extra.empty()) lines = lines_of(extra);
  if (lines.size() == 1 && children().empty()) return formatted("{}({})", type(), lines[0]);
  for (const auto& [name, child] : children()) lines.push_back(formatted("({}): {}", name, indented(child->printed(complete))));
  std::string text = type() + "(";
  for (const std::string& line : lines) text += "\n  " + line;
  return text + (lines.empty() ? ")" : "\n)");
}

std::vector<std::pair<std::string, Variable>> Module::named_parameters() const {
  std::vector<std::pair<std::string, Variable>> found;
  std::set<const void*> seen;
  const auto visit = [&](const auto& self, const Module& module, const std::string& prefix) -> void {
    for (const auto& [name, parameter] : module.state_->parameters) {
      if (parameter.defined() && seen.insert(parameter.node().get()).second) found.emplace_back(prefix + name, parameter);
    }
    for (const auto& [name, child] : module.children()) self(self, *child, formatted("{}{}.", prefix, name));
  };
  visit(visit, *this, "");
  return found;
}

std::vector<Variable> Module::parameters() const {
  std::vector<Variable> values;
  for (auto& [name, parameter] : named_parameters()) values.push_back(parameter);
  return values;
}

std::vector<std::pair<std::string, Tensor>> Module::named_buffers() const {
  std::vector<std::pair<std::string, Tensor>> found;
  std::set<const Tensor*> seen;
  const auto visit = [&](const auto& self, const Module& module, const std::string& prefix) -> void {
    for (const auto& [name, value] : module.state_->buffers) {
      if (value.defined() && seen.insert(&value).second) found.emplace_back(prefix + name, value);
    }
    for (const auto& [name, child] : module.children()) self(self, *child, formatted("{}{}.", prefix, name));
  };
  visit(visit, *this, "");
  return found;
}

StateDict Module::state_dict() const {
  StateDict state;
  const auto visit = [&](const auto& self, const Module& module, const std::string& prefix) -> void {
    for (const auto& [name, parameter] : module.state_->parameters) {
      if (parameter.defined()) state.emplace_back(prefix + name, parameter.data());
    }
    for (const auto& [name, value] : module.state_->buffers) {
      if (value.defined()) state.emplace_back(prefix + name, value);
    }
    for (const auto& [name, child] : module.children()) self(self, *child, formatted("{}{}.", prefix, name));
  };
  visit(visit, *this, "");
  return state;
}

/// What loading found so far, and the copies to make if it found nothing wrong.
struct Module::Loading {
  LoadReport report;
  std::vector<std::string> errors;
  std::vector<std::pair<Tensor, Tensor>> copies;  // to, from
};

// PyTorch's Module._load_from_state_dict: the own entries in order, then the keys under this prefix that nothing here is called by.
void Module::collect_load(const StateDict& state, const std::string& prefix, Loading& loading) const {
  std::map<std::string, Tensor> own;
  for (const auto& [key, value] : state) own.insert_or_assign(key, value);
  adapt_state(prefix, own, loading.errors);

  std::set<std::string> names;
  const auto load = [&](const std::string& name, const Tensor& target) {
    if (!target.defined()) return;
    names.insert(name);
    const auto entry = own.find(prefix + name);
    if (entry == own.end()) {
      loading.report.missing_keys.push_back(prefix + name);
      return;
    }
    Tensor value = entry->second;
    if (target.dim() == 0 && value.dim() == 1 && value.numel() > 0) value = value.select(0);
    if (value.shape() != target.shape()) {
      loading.errors.push_back(
          formatted("size mismatch for {}{}: copying a param with shape torch.Size({}) from checkpoint, the shape in current model "
                    "is torch.Size({}).",
                    prefix, name, value.shape(), target.shape()));
      return;
    }
    loading.copies.emplace_back(target, value);
  };
  for (const auto& [name, parameter] : state_->parameters) load(name, parameter.defined() ? parameter.data() : Tensor());
  for (const auto& [name, value] : state_->buffers) load(name, value);

  for (const auto& [name, child] : children()) names.insert(name);
  for (const auto& [key, value] : state) {
    const std::string rest = key.substr(prefix.size());
    if (own.count(key) > 0 && names.count(rest.substr(0, rest.find('.'))) == 0) loading.report.unexpected_keys.push_back(key);
  }
  for (const auto& [name, child] : children()) {
    const std::string child_prefix = formatted("{}{}.", prefix, name);
    StateDict below;
    for (const auto& entry : state) {
      if (starts_with(entry.first, child_prefix)) below.push_back(entry);
    }
    child->collect_load(below, child_prefix, loading);
  }
}

LoadReport Module::load_state_dict(const StateDict& state, bool strict) {
  Loading loading;
  collect_load(state, "", loading);
  const LoadReport& report = loading.report;
  if (strict && !report.unexpected_keys.empty()) {
    loading.errors.insert(loading.errors.begin(),
                          formatted("Unexpected key(s) in state_dict: {}. ", quoted_list(report.unexpected_keys)));
  }
  if (strict && !report.missing_keys.empty()) {
    loading.errors.insert(loading.errors.begin(),
                          formatted("Missing key(s) in state_dict: {}. ", quoted_list(report.missing_keys)));
  }
  if (!loading.errors.empty()) {
    std::string text = formatted("Error(s) in loading state_dict for {}:", type());
    for (const std::string& error : loading.errors) text += "\n\t" + error;
    raise<Error>(
        "{}\n"
        "the values must come from a network with the same layers, names and sizes as this one: compare the printed forms",
        text);
  }
  for (auto& [to, from] : loading.copies) from = from.to(to.dtype());  // may run out of memory, so before anything is written
  for (auto& [to, from] : loading.copies) to.copy_(from);
  return report;
}

void Module::train(bool training) {
  state_->training = training;
  for (const auto& [name, child] : children()) child->train(training);
}

void Module::zero_grad() {
  for (Variable& parameter : parameters()) parameter.zero_grad();
}

void Module::to(DType dtype) {
  if (!is_float_or_double(dtype)) {
    raise<ValueError>(
        "nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=torch.{}\n"
        "use float32 or float64",
        dtype);
  }
  for (auto& [name, parameter] : state_->parameters) {
    if (!parameter.defined()) continue;
    parameter.data() = parameter.data().to(dtype);
    parameter.zero_grad();
  }
  for (auto& [name, value] : state_->buffers) {
    if (value.defined() && is_float_or_double(value.dtype())) value = value.to(dtype);
  }
  for (const auto& [name, child] : children()) child->to(dtype);
}

Variable& Module::register_parameter(std::string name, Tensor value) {
  check_name("parameter", name);
  Variable parameter = value.defined() ? Variable(std::move(value), true) : Variable();
  return state_->parameters.emplace_back(std::move(name), std::move(parameter)).second;
}

Tensor& Module::register_buffer(std::string name, Tensor value) {
  check_name("buffer", name);
  return state_->buffers.emplace_back(std::move(name), std::move(value)).second;
}

void Module::register_child(std::string name, std::shared_ptr<Module> child) {
  check_name("module", name);
  const bool taken = std::any_of(children().begin(), children().end(), [&](const auto& entry) { return entry.first == name; });
  if (taken) raise<ValueError>("attribute '{}' already exists\ngive each layer of a module its own name", name);
  state_->children.emplace_back(std::move(name), std::move(child));
}

void Module::replace_children(Children children) {
  state_ = std::make_shared<State>(*state_);
  state_->children = std::move(children);
}

namespace {

// relu or relu6, which a BatchNorm before it applies in its own pass over memory.
std::optional<Activation> clamp_of(const Module& layer) {
  const auto* activation = dynamic_cast<const PlainActivation*>(&layer);
  if (activation == nullptr || (activation->kind() != Activation::kRelu && activation->kind() != Activation::kRelu6)) return {};
  return activation->kind();
}

}  // namespace

Variable Sequential::forward(const Variable& input) {
  Variable value = input;
  const bool watched = ForwardHook::watching();
  for (size_t i = 0; i < children().size(); ++i) {
    const auto& child = children()[i];
    auto* const norm = dynamic_cast<BatchNorm*>(child.second.get());
    const std::optional<Activation> clamp =
        norm != nullptr && !watched && i + 1 < children().size() ? clamp_of(*children()[i + 1].second) : std::nullopt;
    value = with_context([&] { return clamp ? norm->forward_then(value, clamp) : (*child.second)(value); },
                         [&](const Error&) {
                           const std::string text = child.second->repr();
                           return formatted("in layer ({}): {}", child.first, text.substr(0, text.find('\n')));
                         });
    if (clamp) ++i;
  }
  return value;
}

void Sequential::add(std::shared_ptr<Module> layer) { add(std::to_string(size()), std::move(layer)); }

void Sequential::add(std::string name, std::shared_ptr<Module> layer) { register_child(std::move(name), std::move(layer)); }

Module& Sequential::operator[](size_t i) const {
  if (i >= size()) {
    raise<ValueError>("index {} is out of range\nthis Sequential has {} layers", i, size());
  }
  return *children()[i].second;
}

}  // namespace convoy::nn
