#include "convoy/nn/parse.h"

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/random.h"
#include "convoy/core/suggest.h"
#include "convoy/io/file.h"
#include "convoy/nn/error_context.h"
#include "convoy/nn/layer_list.h"
#include "convoy/nn/vision_models.h"

namespace convoy::nn {

namespace {

constexpr const char* kSequential = "Sequential";
constexpr const char* kNormActivation = "Conv2dNormActivation";  // torchvision's Sequential of this name

const LayerRow& row_of(const PrintedModule& module) {
  if (const LayerRow* row = find_layer(module.type)) return *row;
  const std::string where = formatted("{}: ", module.at);
  if (!module.children.empty()) {
    raise<ValueError>(
        "{}{} is not a layer that Convoy knows, and its printed form does not say how its layers are connected\n"
        "{}",
        where, io::quote(module.type),
        module.type == "ModuleList"
            ? "if they are applied in the order printed, write Sequential instead of ModuleList"
            : "a class around all layers is taken as a sequence; inside a network only Sequential, the blocks and "
              "torchvision's BasicBlock, Bottleneck and InvertedResidual hold layers");
  }
  const std::vector<std::string> types = layer_types();
  std::string list;
  for (const std::string& type : types) list += (list.empty() ? "" : ", ") + type;
  raise<ValueError>(
      "{}unknown layer {}{}\n"
      "known layers: {}",
      where, io::quote(module.type), did_you_mean(module.type, types), list);
}

// A class of nn/vision_models.h with the layers that it has there.
bool is_composed(const PrintedModule& module) {
  std::vector<std::string> names;
  for (const PrintedChild& child : module.children) names.push_back(child.name);
  return is_vision_module(module.type, names);
}

// Whether what such a class holds is applied in the order printed, whatever it is called: RepVGG's stages are ModuleLists.
bool holds_sequences(const PrintedModule& module) { return module.type == "RepVGG" && is_composed(module); }

bool is_sequence(const PrintedModule& module, bool outermost) {
  if (is_composed(module)) return false;
  return module.type == kSequential || module.type == kNormActivation ||
         (outermost && !module.children.empty() && find_layer(module.type) == nullptr);
}

// A block printed with its layers as the call that makes it; anything else as it is.
PrintedModule as_call(const PrintedModule& module, const LayerRow& row) {
  if (module.children.empty() || row.options_of_layers == nullptr) return module;
  PrintedModule call{module.type, module.at, row.options_of_layers(module), {}};
  for (const PrintedModule::Option& option : module.options) {  // options that the printed form shows beside the layers go first
    std::erase_if(call.options, [&](const PrintedModule::Option& other) { return other.name == option.name; });
    call.options.push_back(option);
  }
  return call;
}

// Refuses a printed block whose layers are not those that the block with these options has: it would compute something else.
void check_layers(const PrintedModule& given, const PrintedModule& made, const std::string& block) {
  const auto refuse = [&](const PrintedModule& at, const std::string& found, const std::string& wanted) {
    raise<ValueError>(
        "{}: a layer of {} is {}, but should be {}\n"
        "a {} is built from its first convolution: a block of another form needs a class of its own",
        at.at, block, found, wanted, block);
  };
  if (given.type != made.type) refuse(given, io::quote(given.type), made.type);
  if (!given.children.empty() || !made.children.empty()) {
    const auto names = [](const PrintedModule& module) {
      std::string text;
      for (const PrintedChild& child : module.children) text += (text.empty() ? "" : ", ") + child.name;
      return text;
    };
    if (given.children.size() != made.children.size() || names(given) != names(made))
      refuse(given, formatted("{} with {}", given.type, io::quote(names(given))), formatted("{} with {}", made.type, names(made)));
    for (size_t i = 0; i < given.children.size(); ++i) check_layers(given.children[i].module, made.children[i].module, block);
    return;
  }
  const LayerRow* row = find_layer(given.type);
  const auto printed = [&](const PrintedModule& module) {
    if (row != nullptr) return row->build(PrintedOptions(module, *row))->repr();
    std::string text;
    for (const PrintedModule::Option& option : module.options)
      text += formatted("{}{}={}", text.empty() ? "" : ", ", option.name, option.value.text);
    return formatted("{}({})", module.type, text);
  };
  if (printed(given) != printed(made)) refuse(given, io::quote(printed(given)), printed(made));
}

// Checks the whole tree and counts its values, so that nothing is allocated for a text that is refused.
shape::Checked count_values(const PrintedModule& module, bool outermost) {
  shape::Checked count(0);
  if (is_sequence(module, outermost) || is_composed(module)) {
    if (!module.options.empty()) {
      raise<ValueError>(
          "{}: {} holds layers, but got {}\n"
          "for example (0): ReLU()",
          module.options[0].at, module.type, io::quote(module.options[0].value.text));
    }
    for (const PrintedChild& child : module.children) count = count + count_values(child.module, holds_sequences(module));
    return count;
  }
  const LayerRow& row = row_of(module);
  if (!module.children.empty() && row.options_of_layers == nullptr) {
    raise<ValueError>(
        "{}: {} holds no layers, but got {}\n"
        "only Sequential holds layers; is the ')' of {} missing?",
        module.children[0].module.at, module.type, io::quote(module.children[0].module.type), module.type);
  }
  const PrintedModule call = as_call(module, row);
  const PrintedOptions options(call, row);
  if (row.values == nullptr) return count;
  const shape::Checked values = row.values(options);
  return values.ok() && values.value() < 0 ? count : values;  // the constructor refuses negative sizes
}

// The place of a layer that its constructor refuses; refusals of the text name theirs themselves.
std::string where(const Error& e, const PrintedModule& module) {
  return e.reason().rfind("line ", 0) == 0 ? "" : formatted("at {}: {}", module.at, module.type);
}

std::shared_ptr<Module> build(const PrintedModule& module, bool outermost) {
  if (is_composed(module)) {
    Module::Children children;
    for (const PrintedChild& child : module.children)
      children.emplace_back(child.name, build(child.module, holds_sequences(module)));
    return make_vision_module(module.type, children);
  }
  if (!is_sequence(module, outermost)) {
    const LayerRow& row = row_of(module);
    const PrintedModule call = as_call(module, row);
    const PrintedOptions options(call, row);
    std::shared_ptr<Module> layer =
        with_context([&] { return row.build(options); }, [&](const Error& e) { return where(e, module); });
    if (!module.children.empty()) {
      const Generator before = default_generator();  // comparing builds the layers once more
      check_layers(module, parse_syntax(layer->repr(), {}), module.type);
      default_generator() = before;
    }
    return layer;
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
    raise<ValueError>(
        "the network has {} parameters, more than {}\n"
        "raise ParseLimits::parameters if that is intended; a weights file holds the values of its network",
        values.ok() ? std::to_string(values.value()) : "more than 2^63", limits.parameters);
  }
  return build(module, true);
}

std::shared_ptr<Module> parse_file(const std::string& path, const ParseLimits& limits) {
  const std::vector<uint8_t> bytes = io::ByteSource::open(path).read_all(limits.bytes);
  try {
    return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, limits);
  } catch (const Error& e) {
    raise<FileError>("{}: {}\n{}", path, e.reason(), e.fix());
  }
}

std::vector<std::string> layer_types() {
  std::vector<std::string> types = {kSequential};
  for (const LayerRow& row : layer_list()) types.emplace_back(row.type);
  return types;
}

}  // namespace convoy::nn
