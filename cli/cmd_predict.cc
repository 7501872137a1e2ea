// convoy predict --weights FILE IMAGE...
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/guesses.h"
#include "cli/interrupt.h"
#include "cli/labels.h"
#include "cli/model_file.h"
#include "cli/network.h"
#include "convoy/core/suggest.h"
#include "convoy/data/resize.h"
#include "convoy/io/image.h"
#include "convoy/ops/reduce.h"
#include "convoy/report/format.h"
#include "convoy/report/table.h"

namespace convoy::cli {

namespace {

struct Options {
  std::optional<std::string> net, weights, labels;
  int64_t top = 3;
  std::vector<std::string> images;
};

void declare(CLI::App& app, Options& options) {
  add_text(app, "--weights", options.weights, "FILE",
           "a network saved by 'convoy train', or any safetensors file with a state_dict");
  add_text(app, "--net", options.net, "NET",
           "a network file, or " + report::joined(network_names(), ", ", " or ") + "; needed only if the file does not say it");
  add_text(app, "--labels", options.labels, "FILE", "class names, one a line (default: those in the weights file)");
  add_integer(app, "-k,--top", options.top, 1, 1000000, "classes to print per image (default 3)");
  app.add_option("IMAGE", options.images);
}

std::vector<double> probabilities(nn::Module& module, const Tensor& image) {
  const NoGradGuard no_grad;
  const Shape& shape = image.shape();
  const Tensor logits = module(image.reshape({1, shape[0], shape[1], shape[2]})).data();
  return ops::softmax(logits, 1).to_vector<double>();
}

struct Classifier {
  std::string name;
  std::shared_ptr<nn::Module> network;
  Shape image_shape;
  std::vector<std::string> classes;
};

// Names for the classes of a network that came without: as many as it answers with.
std::vector<std::string> numbered_classes(nn::Module& network, const Shape& image_shape) {
  const NoGradGuard no_grad;
  const Shape answer = network(Tensor::zeros({1, image_shape[0], image_shape[1], image_shape[2]})).shape();
  std::vector<std::string> classes;
  for (int64_t i = 0; answer.size() == 2 && i < answer[1]; ++i) classes.push_back("class " + std::to_string(i));
  return classes;
}

Classifier load_classifier(const Options& options) {
  const ModelFile model = load_model(*options.weights);
  Classifier classifier{.name = options.net.value_or(model.info ? shown_name(model.info->net) : *options.weights)};
  if (model.info) {
    classifier.image_shape = model.info->image_shape;
    classifier.classes = model.info->classes;
  } else {
    classifier.image_shape = io::read_image(options.images.front()).shape();
  }
  if (options.labels) {
    classifier.classes = read_labels(*options.labels);
    if (model.info && classifier.classes.size() != model.info->classes.size()) {
      std::vector<std::string> known = model.info->classes;
      for (std::string& name : known) name = shown_name(name);
      throw FileError(
          fmt::format("{}: has {}, the network knows {} classes", *options.labels,
                      report::counted(static_cast<int64_t>(classifier.classes.size()), "name"), model.info->classes.size()),
          "one name a line, in the order of " + report::joined(known));
    }
  }
  if (options.net) {
    classifier.network = make_network(*options.net, classifier.image_shape, static_cast<int64_t>(classifier.classes.size()));
    try {
      nn::load_checkpoint(*options.weights, *classifier.network);
    } catch (const FileError&) {
      throw;
    } catch (const Error& error) {
      throw FileError(*options.weights + ": does not fit the network '" + classifier.name + "'\n" + error.reason(), error.fix());
    }
  } else {
    classifier.network = nn::load_network(*options.weights);
  }
  classifier.network->eval();
  if (classifier.classes.empty()) classifier.classes = numbered_classes(*classifier.network, classifier.image_shape);
  check_fit(*classifier.network, classifier.name, classifier.image_shape, static_cast<int64_t>(classifier.classes.size()));
  classifier.network->eval();
  return classifier;
}

int run(const Options& options, Session& session) {
  if (!options.weights)
    throw UsageError("'convoy predict' needs --weights", "for example convoy predict --weights lenet.safetensors photo.png");
  if (options.images.empty())
    throw UsageError("'convoy predict' needs at least one image", "PNG or JPEG files: convoy predict --weights FILE photo.png");
  const Classifier classifier = load_classifier(options);

  report::Json images = report::Json::array();
  std::vector<std::pair<std::string, FileError>> unreadable;
  int64_t done = 0;
  int width = 0;
  for (const std::string& path : options.images) width = std::max(width, report::display_width(shown_name(path)));
  for (const std::string& path : options.images) {
    stop_if_asked(report::grouped(done) + " of " + report::counted(static_cast<int64_t>(options.images.size()), "image") + " done");
    std::vector<Guess> result;
    try {
      const Shape& wanted = classifier.image_shape;
      const Tensor image = data::resize_image(io::read_image(path, static_cast<int>(wanted[0])), wanted[1], wanted[2]);
      result = best_guesses(probabilities(*classifier.network, image), classifier.classes, options.top);
    } catch (const FileError& error) {
      unreadable.emplace_back(path, error);
      session.complain(error);
      continue;
    }
    ++done;
    std::string line = report::pad_right(shown_name(path), width);
    report::Json classes = report::Json::array();
    for (size_t i = 0; i < result.size(); ++i) {
      const std::string text = shown_name(result[i].label) + " " + report::percent(result[i].probability);
      line += "  " + (i == 0 ? session.style().bold(text) : text);
      classes.push(
          report::Json::object({{"index", result[i].index}, {"class", result[i].label}, {"probability", result[i].probability}}));
    }
    session.print(line + "\n");
    images.push(report::Json::object({{"file", path}, {"classes", classes}}));
  }
  report::Json errors = report::Json::array();
  for (const auto& [path, error] : unreadable) errors.push(report::Json::object({{"file", path}, {"error", error.reason()}}));
  session.document(
      report::Json::object({{"schema", "convoy.predict/1"}, {"net", classifier.name}, {"images", images}, {"unreadable", errors}}));
  return unreadable.empty() ? kOk : kBadFile;
}

}  // namespace

Command predict_command() {
  return make_command<Options>(
      {.name = "predict",
       .arguments = "--weights FILE IMAGE...",
       .summary = "say what is on images, with a trained network",
       .examples = {"convoy predict --weights lenet.safetensors photo.png",
                    "convoy predict --weights resnet.safetensors --net resnet.txt --labels names.txt --top 5 *.jpg"}},
      declare, run);
}

}  // namespace convoy::cli
