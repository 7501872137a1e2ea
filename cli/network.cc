#include "cli/network.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/session.h"
#include "convoy/core/random.h"
#include "convoy/core/suggest.h"
#include "convoy/nn/models.h"
#include "convoy/nn/parse.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace {

Tensor zeros_for(const Shape& image_shape) { return Tensor::zeros({2, image_shape[0], image_shape[1], image_shape[2]}); }

void replace_first(std::string& text, const std::string& from, const std::string& to) {
  if (const size_t at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
}

void replace_last(std::string& text, const std::string& from, const std::string& to) {
  if (const size_t at = text.rfind(from); at != std::string::npos) text.replace(at, from.size(), to);
}

// The built-in networks are written for grey images of one size and ten classes; the first and last layers follow the data.
std::string fitted(const nn::NamedModel& model, const Shape& image_shape, int64_t classes) {
  std::string text(model.text);
  replace_first(text, "Conv2d(1,", fmt::format("Conv2d({},", image_shape[0]));
  replace_first(text, "ACBlock(1,", fmt::format("ACBlock({},", image_shape[0]));
  if (classes > 0) replace_last(text, "out_features=10,", fmt::format("out_features={},", classes));
  const Generator before = default_generator();
  const std::shared_ptr<nn::Module> draft = nn::parse(text);
  default_generator() = before;
  draft->eval();
  const NoGradGuard no_grad;
  Variable x = zeros_for(image_shape);
  for (const auto& [name, layer] : draft->children()) {
    if (layer->type() == "Linear") {
      const std::string printed = layer->extra_repr();
      const std::string in_features = printed.substr(0, printed.find(',') + 1);
      replace_first(text, in_features, fmt::format("in_features={},", x.size(-1)));
      break;
    }
    try {
      x = layer->forward(x);
    } catch (const Error& error) {
      throw ShapeMismatch(fmt::format("images of shape {} are too small for {}", to_string(image_shape), model.name),
                          std::string(model.description));
    }
  }
  return text;
}

}  // namespace

void check_fit(nn::Module& network, const std::string& name, const Shape& image_shape, int64_t classes) {
  const NoGradGuard no_grad;
  network.eval();
  Variable x = zeros_for(image_shape);
  const auto pass = [&](nn::Module& layer, const std::string& place) {
    try {
      x = layer(x);
    } catch (const Error& error) {
      throw ShapeMismatch(fmt::format("{}: {} cannot take its input {}\n{}", name, place, to_string(x.shape()), error.reason()),
                          error.fix());
    }
  };
  if (dynamic_cast<const nn::Sequential*>(&network) == nullptr) {
    pass(network, network.type());
  } else {
    for (const auto& [key, layer] : network.children()) pass(*layer, fmt::format("layer ({}): {}", key, layer->type()));
  }
  network.train();
  if (x.dim() != 2 || (classes > 0 && x.size(1) != classes)) {
    const std::string wanted = classes > 0
                                   ? fmt::format("{}: {}", report::counted(classes, "class", "classes"), to_string({2, classes}))
                                   : std::string("one number per class: [2, classes]");
    throw ShapeMismatch(fmt::format("{}: answers two images with {}, not with {}", name, to_string(x.shape()), wanted),
                        "let it end with Flatten() and a Linear layer with one output per class");
  }
}

std::vector<std::string> network_names() {
  std::vector<std::string> names;
  for (const nn::NamedModel& model : nn::named_models()) names.emplace_back(model.name);
  return names;
}

int64_t parameter_count(const nn::Module& module) {
  int64_t count = 0;
  for (const Variable& parameter : module.parameters()) count += parameter.numel();
  return count;
}

std::shared_ptr<nn::Module> make_network(const std::string& name_or_file, const Shape& image_shape, int64_t classes) {
  std::shared_ptr<nn::Module> network;
  for (const nn::NamedModel& model : nn::named_models()) {
    if (name_or_file == model.name) network = nn::parse(fitted(model, image_shape, classes));
  }
  if (network == nullptr) {
    std::error_code error;
    if (!std::filesystem::exists(name_or_file, error) && name_or_file.find_first_of("./") == std::string::npos) {
      throw UsageError("unknown network '" + name_or_file + "'" + did_you_mean(name_or_file, network_names()),
                       "--net needs " + report::joined(network_names(), ", ", " or ") + ", or the path of a network file");
    }
    network = nn::parse_file(name_or_file);
  }
  check_fit(*network, name_or_file, image_shape, classes);
  return network;
}

}  // namespace convoy::cli
