// convoy train --data DATA --net NET
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "cli/banner.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/network.h"
#include "cli/training.h"
#include "convoy/core/random.h"
#include "convoy/report/format.h"
#include "convoy/report/sparkline.h"

namespace convoy::cli {

namespace {

struct Options {
  std::optional<std::string> data, net, optimizer, schedule, save, resume;
  std::optional<int64_t> epochs, batch_size, seed;
  std::optional<double> lr, momentum, weight_decay;
};

const std::vector<std::string> kOptimizers{"sgd", "adam", "adamw"};
const std::vector<std::string> kSchedules{"none", "step", "cosine"};

bool known(const std::string& word, const std::vector<std::string>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

void declare(CLI::App& app, Options& options) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto in = [](const char* group, CLI::Option* option) { option->group(group); };
  in("What to train",
     add_text(app, "--data", options.data, "DATA",
              "shapes (drawn by the program), idx:DIR (MNIST's files) or folder:DIR (one folder of PNG or JPEG files per class)"));
  in("What to train",
     add_text(app, "--net", options.net, "NET",
              "a network file (what Python's print(model) writes), " + report::joined(network_names(), ", ", " or ")));
  in("How to train", add_integer(app, "--epochs", options.epochs, 1, 1000000, "times through the data (default 10)"));
  in("How to train", add_integer(app, "--batch-size", options.batch_size, 1, 1000000, "images per step (default 64)"));
  in("How to train", add_choice(app, "--optimizer", options.optimizer, kOptimizers, "as in PyTorch (default sgd)"));
  in("How to train",
     add_number(app, "--lr", options.lr, 0, kInfinity, true, "learning rate (default 0.05 for sgd, 0.001 for adam and adamw)"));
  in("How to train", add_number(app, "--momentum", options.momentum, 0, kInfinity, false, "of sgd (default 0.9)"));
  in("How to train", add_number(app, "--weight-decay", options.weight_decay, 0, kInfinity, false, "(default 0, for adamw 0.01)"));
  in("How to train",
     add_choice(app, "--schedule", options.schedule, kSchedules,
                "learning rate by epoch: constant, a tenth after each third of the epochs, or down a cosine (default none)"));
  in("How to train",
     add_integer(app, "--seed", options.seed, 0, kMost, "of weights, order and dropout: the same seed, the same bits (default 1)"));
  in("What to keep", add_text(app, "--save", options.save, "FILE",
                              "the trained network as safetensors; after each epoch and at Ctrl-C a checkpoint to resume from "
                              "(default with --resume: that file)"));
  in("What to keep",
     add_text(app, "--resume", options.resume, "FILE",
              "go on from a checkpoint to the same bits as without the interruption; its settings need not be repeated"));
}

// A stored value in place of an option that was not given; the option and both values if they differ.
template <class T, class Parse>
void adopt(const std::optional<T>& given, const std::string& option, T& value, const Checkpoint& checkpoint, const Parse& parse,
           std::vector<std::string>& differences) {
  const auto found = checkpoint.settings.find(option);
  if (found == checkpoint.settings.end()) return;
  const T stored = parse(found->second);
  if (given && *given != stored) differences.push_back(fmt::format("{} is {} there, {} here", option, stored, *given));
  value = stored;
}

// The whole text as a number, as the checkpoint's writer printed it.
template <class Number>
Number number(const std::string& text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) throw std::invalid_argument("'" + text + "' is not a number");
  return value;
}
std::string word(const std::string& text) { return text; }

// What the command line says, else the checkpoint, else the defaults.
TrainingSettings settings_of(const Options& options, const Checkpoint* resumed) {
  TrainingSettings settings;
  settings.optimizer = options.optimizer.value_or("sgd");
  settings.lr = options.lr.value_or(settings.optimizer == "sgd" ? 0.05 : 0.001);
  settings.momentum = options.momentum.value_or(0.9);
  settings.weight_decay = options.weight_decay.value_or(settings.optimizer == "adamw" ? 0.01 : 0.0);
  settings.schedule = options.schedule.value_or("none");
  settings.epochs = options.epochs.value_or(10);
  settings.batch_size = options.batch_size.value_or(64);
  settings.seed = options.seed.value_or(1);
  settings.data = options.data.value_or("");
  settings.net = options.net.value_or("");
  if (resumed == nullptr) return settings;

  std::vector<std::string> differences;
  try {
    adopt(options.optimizer, "--optimizer", settings.optimizer, *resumed, word, differences);
    adopt(options.lr, "--lr", settings.lr, *resumed, number<double>, differences);
    adopt(options.momentum, "--momentum", settings.momentum, *resumed, number<double>, differences);
    adopt(options.weight_decay, "--weight-decay", settings.weight_decay, *resumed, number<double>, differences);
    adopt(options.schedule, "--schedule", settings.schedule, *resumed, word, differences);
    adopt(options.batch_size, "--batch-size", settings.batch_size, *resumed, number<int64_t>, differences);
    adopt(options.seed, "--seed", settings.seed, *resumed, number<int64_t>, differences);
    adopt(options.data, "--data", settings.data, *resumed, word, differences);
    adopt(options.net, "--net", settings.net, *resumed, word, differences);
    std::vector<std::string> other_epochs;
    adopt(options.epochs, "--epochs", settings.epochs, *resumed, number<int64_t>, other_epochs);
    if (settings.schedule == "none" && options.epochs) {
      settings.epochs = *options.epochs;  // without a schedule, the number of epochs decides nothing before they are over
    } else {
      differences.insert(differences.end(), other_epochs.begin(), other_epochs.end());
    }
    if (settings.epochs < 1 || settings.batch_size < 1 || settings.seed < 0 || !known(settings.optimizer, kOptimizers) ||
        !known(settings.schedule, kSchedules) || !(settings.lr > 0) || !(settings.momentum >= 0) || !(settings.weight_decay >= 0)) {
      throw std::invalid_argument("a value is not one that its option takes");
    }
  } catch (const std::exception& error) {
    throw FileError(*options.resume + ": its settings cannot be understood", error.what());
  }
  if (options.epochs && (settings.epochs < resumed->epoch || (settings.epochs == resumed->epoch && resumed->batch > 0))) {
    differences.push_back(fmt::format("--epochs is {}, it is in epoch {} already", settings.epochs, resumed->epoch + 1));
  }
  if (!differences.empty()) {
    throw UsageError("cannot resume " + *options.resume + " with other settings: " + report::joined(differences, "; "),
                     "leave these options out to go on as it began, or start a new run without --resume");
  }
  return settings;
}

std::string described(const TrainingSettings& settings) {
  std::string text = fmt::format("{}, lr {}", settings.optimizer, report::shortest(settings.lr));
  if (settings.optimizer == "sgd") text += ", momentum " + report::shortest(settings.momentum);
  if (settings.weight_decay > 0) text += ", weight decay " + report::shortest(settings.weight_decay);
  if (settings.schedule != "none") text += ", " + settings.schedule + " schedule";
  return text +
         fmt::format(", batches of {}, {}, seed {}", settings.batch_size, report::counted(settings.epochs, "epoch"), settings.seed);
}

report::Json document(const Training& training, bool interrupted, const std::optional<std::string>& saved) {
  const data::Split& data = training.data();
  report::Json settings = report::Json::object();
  for (const auto& [option, value] : training.settings().as_options()) settings.set(option.substr(2), value);
  report::Json epochs = report::Json::array();
  for (const EpochResult& r : training.results()) {
    epochs.push(report::Json::object({{"epoch", r.epoch},
                                      {"lr", r.lr},
                                      {"loss", r.loss},
                                      {"test_loss", r.test_loss},
                                      {"test_accuracy", r.test_accuracy},
                                      {"images_per_second", r.images_per_second}}));
  }
  report::Json document = report::Json::object({{"schema", "convoy.train/1"}, {"settings", settings}});
  document.set("parameters", parameter_count(training.network()));
  document.set("train_images", data.train.size()).set("test_images", data.test.size());
  document.set("classes", report::Json::array_of(data.train.classes)).set("epochs", epochs);
  document.set("test_accuracy",
               training.results().empty() ? report::Json() : report::Json(training.results().back().test_accuracy));
  document.set("interrupted", interrupted).set("saved", saved ? report::Json(*saved) : report::Json());
  return document;
}

std::string epoch_line(const EpochResult& r, const Training& training, const report::Style& style) {
  std::string text =
      fmt::format("epoch {:>{}}  {}", r.epoch, std::to_string(training.settings().epochs).size(), report::bar(1, 1, 20, style));
  if (r.images_per_second > 0) text += "  " + report::grouped(static_cast<int64_t>(r.images_per_second)) + " img/s";
  text += "  loss " + report::fixed(r.loss, 3);
  if (training.data().test.size() > 0) text += "  test " + report::percent(r.test_accuracy);
  return text + "\n";
}

// Refuses a place that cannot be written to before hours are spent.
void check_writable(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    throw FileError(path + ": is a folder", "name a file in it, for example " + path + "/model.safetensors");
  if (!folder.empty() && !std::filesystem::is_directory(folder, error)) {
    throw FileError(path + ": there is no folder " + folder.string(), "mkdir -p " + folder.string());
  }
}

// The network to go on with: its values from the checkpoint, its layers those that --net means if that is given.
std::shared_ptr<nn::Module> resumed_network(const Options& options, const TrainingSettings& settings, const Shape& image_shape,
                                            int64_t classes) {
  std::shared_ptr<nn::Module> network = nn::load_network(*options.resume);
  check_fit(*network, *options.resume, image_shape, classes);
  if (options.net && make_network(settings.net, image_shape, classes)->definition() != network->definition()) {
    throw UsageError("cannot resume " + *options.resume + " with another network: '" + settings.net + "' has other layers now",
                     "leave --net out to go on as it began, or start a new run without --resume");
  }
  return network;
}

int run(const Options& options, Session& session) {
  std::optional<Checkpoint> resumed;
  if (options.resume) {
    ModelFile file = load_model(*options.resume);
    if (!file.checkpoint) {
      throw FileError(*options.resume + ": holds no training state to resume from",
                      file.info ? "its training is finished" : "it was not written by 'convoy train --save'");
    }
    resumed = std::move(file.checkpoint);
  }
  const TrainingSettings settings = settings_of(options, resumed ? &*resumed : nullptr);
  if (settings.data.empty())
    throw UsageError("'convoy train' needs --data", "for example --data shapes (no files needed), idx:DIR or folder:DIR");
  if (settings.net.empty())
    throw UsageError("'convoy train' needs --net", "a network file, or " + report::joined(network_names(), ", ", " or "));
  const std::optional<std::string> save = options.save ? options.save : options.resume;
  if (save) check_writable(*save);

  data::Split data = data::open_dataset(settings.data);
  if (data.train.size() == 0) throw FileError(settings.data + ": no training images");
  stop_if_asked("nothing was trained yet");
  manual_seed(static_cast<uint64_t>(settings.seed));
  const Shape shape(data.train.images.shape().begin() + 1, data.train.images.shape().end());
  const auto classes = static_cast<int64_t>(data.train.classes.size());
  std::shared_ptr<nn::Module> network =
      resumed ? resumed_network(options, settings, shape, classes) : make_network(settings.net, shape, classes);
  Training training(settings, std::move(network), std::move(data));
  if (resumed) training.restore(*options.resume, *resumed);

  session.print(banner(session.style(), settings.seed) + "\n");
  session.print(fmt::format("data    {}: {} training and {} test images {}, {}\n", settings.data,
                            report::grouped(training.data().train.size()), report::grouped(training.data().test.size()),
                            to_string(shape), report::counted(classes, "class", "classes")));
  session.print(fmt::format("net     {}: {} parameters\n", settings.net, report::grouped(parameter_count(training.network()))));
  session.print(fmt::format("method  {}\n", described(settings)));
  if (resumed) session.print(fmt::format("resumed from {}: {}\n", *options.resume, training.position()));
  session.print("\n");

  const auto keep = [&] {
    if (save) training.save(*save);
  };
  const auto kept = [&] {
    return save ? "saved " + *save + "; go on with: convoy train --resume " + *save : "nothing was saved (no --save FILE)";
  };
  bool finished = false;
  try {
    finished = training.run(session, [&](const EpochResult& result) {
      keep();
      session.print(epoch_line(result, training, session.style()));
    });
  } catch (const BrokenPipe&) {
    keep();
    throw;
  }
  if (!finished) {
    keep();
    session.document(document(training, true, save));
    throw Interrupted(training.position() + "\n" + kept());
  }
  std::vector<double> losses;
  for (const EpochResult& result : training.results()) losses.push_back(result.loss);
  session.print("\n");
  if (losses.size() > 1) session.print("loss  " + report::sparkline(losses) + "\n");
  if (save) {
    session.print(fmt::format("saved {}; use it:  convoy predict --weights {} IMAGE...\n", with_size(*save), *save));
  } else {
    session.print("nothing was saved: --save FILE keeps the network\n");
  }
  session.document(document(training, false, save));
  return kOk;
}

}  // namespace

Command train_command() {
  return make_command<Options>(
      {.name = "train",
       .arguments = "--data DATA --net NET",
       .summary = "train a network, with checkpoints to resume from",
       .examples = {"convoy train --data shapes --net lenet --save lenet.safetensors",
                    "convoy train --data folder:photos --net lenet --optimizer adam --epochs 20 --schedule cosine",
                    "convoy train --resume lenet.safetensors"}},
      declare, run);
}

}  // namespace convoy::cli
