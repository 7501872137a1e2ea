#include "convoy/nn/parse.h"

#include "convoy/core/error.h"
#include "convoy/core/suggest.h"
#include "convoy/io/file.h"
#include "convoy/nn/error_context.h"
#include "convoy/nn/layer_list.h"

namespace convoy::nn {

namespace {

constexpr const char* kSequential = "Sequential";

const LayerRow& row_of(const PrintedModule& module) {
  if (const LayerRow* row = find_layer(module.type)) return *row;
  const std::string where = to_string(module.at) + ": ";
  if (!module.children.empty()) {
    throw ValueError(where + io::quote(module.type) +
                         " is not a layer that Convoy knows, and its printed form does not say how its layers are connected",
                     "a class around all layers is taken as a sequence; inside a network only Sequential holds layers");
  }
  const std::vector<std::string> types = layer_types();
  std::string list;
  for (const std::string& type : types) list += (list.empty() ? "" : ", ") + type;
  throw ValueError(where + "unknown layer " + io::quote(module.type) + did_you_mean(module.type, types), "known layers: " + list);
}

bool is_sequence(const PrintedModule& module, bool outermost) {
  return module.type == kSequential || (outermost && !module.children.empty() && find_layer(module.type) == nullptr);
}

// Checks the whole tree and counts its values, so that nothing is allocated for a text that is refused.
shape::Checked count_values(const PrintedModule& module, bool outermost) {
  shape::Checked count(0);
  if (is_sequence(module, outermost)) {
    if (!module.options.empty()) {
      throw ValueError(to_string(module.options[0].at) + ": " + module.type + " holds layers, but got " +
                           io::quote(module.options[0].value.text),
                       "for example (0): ReLU()");
    }
    for (const PrintedChild& child : module.children) count = count + count_values(child.module, false);
    return count;
  }
  const LayerRow& row = row_of(module);
  if (!module.children.empty()) {
    throw ValueError(to_string(module.children[0].module.at) + ": " + module.type + " holds no layers, but got " +
                         io::quote(module.children[0].module.type),
                     std::string("only Sequential holds layers; is the ')' of ") + module.type + " missing?");
  }
  const PrintedOptions options(module, row);
  if (row.values == nullptr) return count;
  const shape::Checked values = row.values(options);
  return values.ok() && values.value() < 0 ? count : values;  // the constructor refuses negative sizes
}

// The place of a layer that its constructor refuses; refusals of the text name theirs themselves.
std::string where(const Error& e, const PrintedModule& module) {
  return e.reason().rfind("line ", 0) == 0 ? "" : "at " + to_string(module.at) + ": " + module.type;
}

std::shared_ptr<Module> build(const PrintedModule& module, bool outermost) {
  if (!is_sequence(module, outermost)) {
    const LayerRow& row = row_of(module);
    const PrintedOptions options(module, row);
    return with_context([&] { return row.build(options); }, [&](const Error& e) { return where(e, module); });
  }
  auto sequence = std::make_shared<Sequential>(module.type);
  for (const PrintedChild& child : module.children) {
    std::shared_ptr<Module> layer = build(child.module, false);
    with_context(
        [&] {
          if (child.name.empty())
            sequence->add(std::move(layer));
          else
            sequence->add(child.name, std::move(layer));
          return 0;
        },
        [&](const Error& e) { return where(e, child.module); });
  }
  return sequence;
}

}  // namespace

std::shared_ptr<Module> parse(std::string_view text, const ParseLimits& limits) {
  const PrintedModule module = parse_syntax(text, limits);
  const shape::Checked values = count_values(module, true);
  if (!values.ok() || values.value() > limits.parameters) {
    throw ValueError("the network has " + (values.ok() ? std::to_string(values.value()) : "more than 2^63") +
                         " parameters, more than " + std::to_string(limits.parameters),
                     "raise ParseLimits::parameters if that is intended");
  }
  return build(module, true);
}

std::shared_ptr<Module> parse_file(const std::string& path, const ParseLimits& limits) {
  const std::vector<uint8_t> bytes = io::ByteSource::open(path).read_all(limits.bytes);
  try {
    return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, limits);
  } catch (const Error& e) {
    throw FileError(path + ": " + e.reason(), e.fix());
  }
}

std::vector<std::string> layer_types() {
  std::vector<std::string> types = {kSequential};
  for (const LayerRow& row : layer_list()) types.emplace_back(row.type);
  return types;
}

}  // namespace convoy::nn
