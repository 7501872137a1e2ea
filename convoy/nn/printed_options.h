// The options of a printed layer, by name and type, and the row that names them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convoy/nn/layer_options.h"
#include "convoy/nn/module.h"
#include "convoy/nn/parse_syntax.h"
#include "convoy/nn/resize.h"
#include "convoy/shape/checked.h"

namespace convoy::nn {

struct LayerRow;

/// The options of one printed layer by name, converted to what its constructor takes.
/// Errors: ValueError that names line, column, layer and option and says what is accepted.
class PrintedOptions {
 public:
  /// Gives options without a name the names of the row, in its order, and refuses unknown, repeated and missing ones.
  PrintedOptions(const PrintedModule& module, const LayerRow& row);

  int64_t integer(const char* name, int64_t otherwise = 0) const;
  std::optional<int64_t> optional_integer(const char* name) const;
  bool flag(const char* name, bool otherwise) const;
  Number number(const char* name, Number otherwise) const;
  std::optional<Number> optional_number(const char* name, std::optional<Number> otherwise) const;
  /// A number or a tuple; None and nothing give `otherwise`.
  IntList sizes(const char* name, IntList otherwise = {}) const;
  std::vector<int64_t> list(const char* name) const;
  OutputSize output_size(const char* name) const;
  Padding padding(const char* name) const;
  ScaleFactor scale_factor(const char* name) const;
  std::string word(const char* name, const char* otherwise) const;
  /// Throws unless the option is absent or `value`, the only one supported.
  void only(const char* name, const char* value) const;
  /// The value as it was written, or nullptr.
  const OptionValue* find(const char* name) const;

 private:
  [[noreturn]] void refuse(const char* name, const OptionValue& value, std::string_view accepted) const;
  int64_t integer_of(const char* name, const OptionValue& value, const char* accepted) const;

  const PrintedModule& module_;
  std::vector<std::pair<std::string_view, const OptionValue*>> values_;
};

/// The options that convolutions and the blocks made of them have in common.
template <class Options>
Options convolution_options(const PrintedOptions& o) {
  Options options;
  options.in_channels = o.integer("in_channels");
  options.out_channels = o.integer("out_channels");
  options.kernel_size = o.sizes("kernel_size");
  options.stride = o.sizes("stride", 1);
  options.padding = o.padding("padding");
  options.dilation = o.sizes("dilation", 1);
  options.groups = o.integer("groups", 1);
  if constexpr (requires { options.bias; }) options.bias = o.flag("bias", true);
  if constexpr (requires { options.padding_mode; }) options.padding_mode = parse_padding_mode(o.word("padding_mode", "zeros"));
  if constexpr (requires { options.deploy; }) {
    options.deploy = o.flag("deploy", false);
    options.eps = o.number("eps", 1e-5);
    options.momentum = o.optional_number("momentum", 0.1);
  }
  return options;
}

/// One class of layers.
struct LayerRow {
  const char* type;
  std::vector<const char*> options;  // in the order of PyTorch's constructor
  size_t required;                   // how many of the first must be given
  std::shared_ptr<Module> (*build)(const PrintedOptions& options);
  /// Values that the layer will hold, to be counted before any is allocated; nullptr for none.
  shape::Checked (*values)(const PrintedOptions& options);
  /// For a class that is printed with the layers it consists of: the options that make it, read off these layers. nullptr: the
  /// class holds no layers. Errors: ValueError for layers that the class does not have.
  std::vector<PrintedModule::Option> (*options_of_layers)(const PrintedModule& module) = nullptr;
};

}  // namespace convoy::nn
