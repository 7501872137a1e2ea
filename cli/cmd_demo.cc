// convoy demo: one minute that shows what the program does and that its numbers are right. Every tick is a check that can fail.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>

#include "cli/banner.h"
#include "cli/case_files.h"
#include "cli/command.h"
#include "cli/fusing.h"
#include "cli/interrupt.h"
#include "cli/network.h"
#include "cli/places.h"
#include "cli/training.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/io/image.h"
#include "convoy/ops/conv.h"
#include "convoy/report/format.h"
#include "convoy/report/picture.h"
#include "convoy/report/sparkline.h"
#include "convoy/shape/axis.h"

namespace convoy::cli {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using report::Json;

struct Options {
  bool quick = false;
  int64_t seed = 1;
  std::optional<std::string> cases, out;
};

constexpr int kSteps = 5;
constexpr double kGoal = 0.97;

void declare(CLI::App& app, Options& options) {
  app.add_flag("--quick", options.quick, "leave out the training (steps 3 to 5)");
  add_integer(app, "--seed", options.seed, 0, std::numeric_limits<int64_t>::max(),
              "of the drawn shapes and of the training (default 1)");
  add_text(app, "--cases", options.cases, "DIR",
           "folder with the stored PyTorch cases (default: the one that came with the program)");
  add_text(app, "--out", options.out, "DIR", "where to write the trained network and the images (default convoy-demo)");
}

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The steps with what they share: where to print, what was found, what failed.
class Demo {
 public:
  Demo(const Options& options, Session& session) : options_(options), session_(session), style_(session.style()) {
    if (style_.terminal().is_terminal) width_ = std::min(width_, style_.terminal().columns - 1);
  }

  int run();

 private:
  void step(const std::string& title, const std::function<void(Json&)>& body);
  // A line with the time at the right end.
  void line(const std::string& left, std::optional<double> seconds = {});
  // A tick or a cross, and what it is about.
  void tick(bool good, const std::string& text, std::optional<double> seconds = {});
  std::string finished_steps() const;

  void convolve_by_hand(Json& facts);
  void compare_with_pytorch(Json& facts);
  void train(Json& facts);
  void fold(Json& facts);
  void save_and_use(Json& facts);
  void print_next();

  const Options& options_;
  Session& session_;
  report::Style style_;
  int width_ = 98;
  int number_ = 0, done_ = 0, failed_checks_ = 0;
  bool step_good_ = true;
  Json steps_ = Json::array();
  std::string cases_folder_;
  std::optional<Training> training_;
  std::shared_ptr<nn::Module> network_;
  std::string model_path_, image_path_;
};

void Demo::line(const std::string& left, std::optional<double> seconds) {
  std::string text = "     " + left;
  if (seconds) {
    const std::string right = report::duration(*seconds);
    const int gap = width_ - report::display_width(style_.shown(text)) - report::display_width(right);
    text += std::string(static_cast<size_t>(std::max(2, gap)), ' ') + style_.dim(right);
  }
  text.erase(text.find_last_not_of(' ') + 1);
  session_.print(text + "\n");
}

void Demo::tick(bool good, const std::string& text, std::optional<double> seconds) {
  line(style_.mark(good) + " " + text, seconds);
  failed_checks_ += good ? 0 : 1;
  step_good_ = step_good_ && good;
}

std::string Demo::finished_steps() const {
  if (done_ == 0) return "no step was finished";
  if (done_ == 1) return fmt::format("step 1 of {} was finished", kSteps);
  return fmt::format("steps 1 to {} of {} were finished", done_, kSteps);
}

void Demo::step(const std::string& title, const std::function<void(Json&)>& body) {
  stop_if_asked(finished_steps());
  session_.print(fmt::format("\n{}  {}\n", style_.bold(fmt::format("{}/{}", ++number_, kSteps)), style_.bold(title)));
  step_good_ = true;
  const auto start = Clock::now();
  Json facts = Json::object({{"step", number_}, {"title", title}});
  try {
    body(facts);
  } catch (const Interrupted& stopped) {
    throw Interrupted(finished_steps() + fmt::format("; in step {}: {}", number_, stopped.what()));
  } catch (const Error& error) {  // a step that cannot be carried out has failed; the others still say what they find
    tick(false, error.reason());
    if (!error.fix().empty()) line("  " + error.fix());
    facts.set("error", error.reason());
  }
  facts.set("passed", step_good_).set("seconds", since(start));
  steps_.push(facts);
  ++done_;
  stop_if_asked(finished_steps());
}

// The 5 x 5 example of "A guide to convolution arithmetic for deep learning".
void Demo::convolve_by_hand(Json& facts) {
  const std::vector<float> x{3, 3, 2, 1, 0, 0, 0, 1, 3, 1, 3, 1, 2, 2, 3, 2, 0, 0, 2, 2, 2, 0, 0, 0, 1};
  const std::vector<float> w{0, 1, 2, 2, 2, 0, 0, 1, 2};
  const std::vector<float> wanted{12, 12, 17, 10, 17, 19, 9, 6, 14};
  const Tensor output = ops::conv2d(Tensor::from(x, {1, 1, 5, 5}), Tensor::from(w, {1, 1, 3, 3}));
  const std::vector<float> y = output.to_vector<float>();
  const shape::Result<int64_t> size = shape::output_size(5, {.kernel_size = 3});

  const auto digit = [](float value) { return fmt::format("{:.0f}", value); };
  const auto row_of_input = [&](size_t row) {
    std::string text = row < 3 ? style_.blue("▐") : " ";
    for (size_t column = 0; column < 5; ++column) {
      const std::string number = digit(x[row * 5 + column]);
      text += row < 3 && column < 3 ? style_.bold(number) : number;
      text += row < 3 && column == 2 ? style_.blue("▌") : " ";
    }
    return text;
  };
  const auto row_of_weight = [&](size_t row) {
    return fmt::format("{:.0f} {:.0f} {:.0f}", w[row * 3], w[row * 3 + 1], w[row * 3 + 2]);
  };
  const auto row_of_output = [&](size_t row) {
    std::string text;
    for (size_t column = 0; column < 3; ++column) {
      const std::string number = fmt::format("{:>2.0f}", y.at(row * 3 + column));
      text += row + column == 0 ? style_.cyan("[") + style_.bold(number) + style_.cyan("]") : " " + number + " ";
    }
    return text;
  };
  std::vector<std::string> products;
  for (size_t row = 0; row < 3; ++row) {
    std::vector<std::string> terms;
    for (size_t column = 0; column < 3; ++column) terms.push_back(digit(x[row * 5 + column]) + "·" + digit(w[row * 3 + column]));
    products.push_back(report::joined(terms, "+"));
  }
  line(fmt::format("{}    {}     {}     o = ⌊(5 + 2·0 − 1·(3−1) − 1)/1⌋ + 1 = {}", report::pad_right("  x 5×5", 11), "w 3×3",
                   "y = conv2d(x, w)", *size));
  for (size_t row = 0; row < 5; ++row) {
    std::string text = row_of_input(row);
    if (row < 3) text += "    " + row_of_weight(row) + "     " + row_of_output(row);
    if (row == 1) text += "     " + report::joined(products, " + ") + " = " + digit(y.at(0));
    line(text);
  }
  const bool good = y == wanted && output.shape() == Shape{1, 1, 3, 3} && *size == 3;
  tick(good, good ? "the engine's nine numbers are those of the paper"
                  : "the engine gives other numbers than 12 12 17 / 10 17 19 / 9 6 14");
  facts.set("output", Json::array_of(std::vector<double>(y.begin(), y.end())));
}

void Demo::compare_with_pytorch(Json& facts) {
  cases_folder_ = options_.cases ? *options_.cases : stored_cases_folder();
  const auto start = Clock::now();
  const CaseRun run = run_case_files(case_files(cases_folder_), session_);
  const check::OpSummary& total = run.summary.total;
  line(fmt::format("{} stored calls of {} · convolution, transposed, pooling, normalisation, ...",
                   report::grouped(total.passed + total.failed),
                   report::counted(static_cast<int64_t>(run.summary.per_op.size()), "function")));
  const bool some = total.passed > 0;
  const bool good = some && total.failed == 0 && run.unreadable.empty();
  if (good) {
    tick(true,
         fmt::format("{} match, forward and gradients; largest difference {} of its limit",
                     report::grouped(total.passed - total.refused), report::fixed(total.worst_ratio, 2)),
         since(start));
    if (total.refused > 0) {
      tick(true, fmt::format("{} impossible calls refused, {} in PyTorch's own words", report::grouped(total.refused),
                             report::grouped(total.refused_exact_text)));
    }
  } else {
    tick(false, fmt::format("{} match, {} do not", report::grouped(total.passed), report::grouped(total.failed)), since(start));
    constexpr size_t kShown = 5;
    for (size_t i = 0; i < std::min(kShown, run.summary.failures.size()); ++i) {
      line("    " + run.summary.failures[i].name + ": " + run.summary.failures[i].reason);
    }
    for (const auto& [path, error] : run.unreadable) line("    " + error.reason());
    line("    all of them:  convoy check " + cases_folder_);
  }
  facts.set("cases", cases_folder_)
      .set("matched", total.passed - total.refused)
      .set("failed", total.failed)
      .set("refused", total.refused);
  facts.set("refused_exact_text", total.refused_exact_text)
      .set("worst_ratio", total.worst_ratio)
      .set("largest_error", total.largest_error);
}

void Demo::train(Json& facts) {
  const auto start = Clock::now();
  TrainingSettings settings{.data = "shapes",
                            .net = "acnet",
                            .epochs = 5,
                            .batch_size = 32,
                            .optimizer = "adam",
                            .lr = 0.005,
                            .schedule = "cosine",
                            .seed = options_.seed};
  data::Split data = data::drawn_shapes({.seed = static_cast<uint64_t>(options_.seed)});
  const Shape shape(data.train.images.shape().begin() + 1, data.train.images.shape().end());
  const auto classes = static_cast<int64_t>(data.train.classes.size());
  manual_seed(static_cast<uint64_t>(options_.seed));
  network_ = make_network(settings.net, shape, classes);
  line(fmt::format("3 ACNet blocks (3×3 + 3×1 + 1×3), {} parameters · {} + {} images of {}×{}",
                   report::grouped(parameter_count(*network_)), report::grouped(data.train.size()),
                   report::grouped(data.test.size()), shape[1], shape[2]));
  line(style_.dim(report::joined(data.train.classes)));
  training_.emplace(settings, network_, std::move(data));
  const bool finished = training_->run(session_, [&](const EpochResult& result) {
    const bool last = result.epoch == settings.epochs;
    std::string text = fmt::format("epoch {}  {}  {} img/s  loss {}  test {}", result.epoch, report::bar(1, 1, 20, style_),
                                   report::grouped(static_cast<int64_t>(result.images_per_second)), report::fixed(result.loss, 3),
                                   report::percent(result.test_accuracy));
    if (last) text += "   loss " + style_.cyan(report::sparkline(training_->batch_losses(), 16));
    line(text, last ? std::optional(since(start)) : std::nullopt);
  });
  if (!finished) throw Interrupted(training_->position());
  const double accuracy = training_->results().back().test_accuracy;
  tick(accuracy >= kGoal,
       fmt::format("{} of the test images are recognised (at least {} wanted)", report::percent(accuracy), report::percent(kGoal)));
  facts.set("parameters", parameter_count(training_->network())).set("test_accuracy", accuracy);
  std::vector<double> losses;
  for (const EpochResult& result : training_->results()) losses.push_back(result.loss);
  facts.set("losses", Json::array_of(losses));
}

void Demo::fold(Json& facts) {
  if (!training_ || !training_->finished()) throw Error("there is no trained network");
  network_->eval();
  const nn::Fused fused = nn::fuse(network_);
  const data::Dataset& test = training_->data().test;
  const Shape shape(test.images.shape().begin() + 1, test.images.shape().end());
  NetworkCost before = network_cost(*network_, shape), after = network_cost(*fused.module, shape);
  constexpr double kTiming = 0.4;
  time_networks(*network_, *fused.module, shape, kTiming, before, after);
  constexpr int kIndent = 7;
  session_.print(cost_table(before, after, shape, style_, kIndent));

  // Where it matters, on the images, and place by place on random inputs, which reach every value.
  constexpr int64_t kRandomInputs = 20;
  Generator generator(static_cast<uint64_t>(options_.seed));
  const nn::Agreement agreement = nn::verify(*network_, fused, shape, kRandomInputs, &generator);
  const NoGradGuard no_grad;
  int64_t same = 0;
  double largest = 0, scale = 0;
  constexpr int64_t kBatch = 100;
  for (int64_t first = 0; first < test.size(); first += kBatch) {
    const Tensor images = test.images.slice(first, std::min(first + kBatch, test.size()));
    const Tensor a = (*network_)(images).data(), b = (*fused.module)(images).data();
    const std::vector<float> x = a.to_vector<float>(), y = b.to_vector<float>();
    const auto classes = static_cast<size_t>(a.size(1));
    for (size_t n = 0; n < x.size(); n += classes) {
      const auto answer = [&](const std::vector<float>& v) {
        const auto begin = v.begin() + static_cast<ptrdiff_t>(n);
        return std::max_element(begin, begin + static_cast<ptrdiff_t>(classes)) - begin;
      };
      same += answer(x) == answer(y);
      for (size_t i = n; i < n + classes; ++i) {
        largest = std::max(largest, static_cast<double>(std::abs(x[i] - y[i])));
        scale = std::max(scale, static_cast<double>(std::abs(x[i])));
      }
    }
  }
  tick(same == test.size() && agreement.agrees,
       fmt::format("same answers on {} of {} test images; largest difference {} of outputs up to {}", report::grouped(same),
                   report::grouped(test.size()), report::scientific(largest), report::fixed(scale, 1)));
  facts.set("before", cost_json(before)).set("after", cost_json(after));
  facts.set("same_answers", same).set("largest_difference", largest).set("agrees_on_random_inputs", agreement.agrees);
}

void Demo::save_and_use(Json& facts) {
  if (!training_ || !training_->finished()) throw Error("there is no trained network");
  const data::Dataset& test = training_->data().test;
  const fs::path folder = options_.out.value_or("convoy-demo");
  std::error_code code;
  fs::create_directories(folder, code);
  if (!fs::is_directory(folder, code))
    throw FileError(folder.string() + ": cannot be made here", "convoy demo --out DIR writes somewhere else");
  model_path_ = (folder / "shapes.safetensors").string();
  training_->save(model_path_);

  const std::shared_ptr<nn::Module> loaded = nn::load_network(model_path_);
  const std::vector<int64_t> before = predicted_classes(training_->network(), test.images);
  const std::vector<int64_t> after = predicted_classes(*loaded, test.images);
  int64_t same = 0;
  for (size_t i = 0; i < before.size(); ++i) same += before[i] == after.at(i);
  tick(same == test.size(), fmt::format("saved ({}) and loaded back: {} of {} predictions are the same",
                                        report::bytes(static_cast<int64_t>(fs::file_size(model_path_))), report::grouped(same),
                                        report::grouped(test.size())));

  // One image of each class, written as PNG, read back from there.
  std::vector<std::vector<std::string>> pictures;
  int64_t right = 0, unchanged = 0;
  const auto count = static_cast<int64_t>(test.classes.size());
  for (int64_t label = 0; label < count; ++label) {
    const int64_t* labels = test.labels.data<int64_t>();
    const int64_t index = std::find(labels, labels + test.size(), label) - labels;
    if (index == test.size()) continue;
    const std::string& name = test.classes[static_cast<size_t>(label)];
    const std::string path = (folder / (name + ".png")).string();
    const Tensor image = test.images.select(index);
    io::write_png(path, image);
    const Tensor read = io::read_image(path, static_cast<int>(image.size(0)));
    unchanged += identical(read, image);
    const int64_t predicted = predicted_classes(*loaded, read.reshape({1, image.size(0), image.size(1), image.size(2)})).front();
    right += predicted == label;
    pictures.push_back(report::dotted(read.to_vector<float>(), image.size(1), image.size(2)));
    for (std::string& row : pictures.back()) row = style_.cyan(row);
    const std::string& answer = test.classes.at(static_cast<size_t>(predicted));
    pictures.back().push_back(style_.mark(predicted == label) + " " + (predicted == label ? answer : answer + ", not " + name));
    if (predicted == label && image_path_.empty()) image_path_ = path;
  }
  constexpr int kIndent = 7, kGap = 4;
  const int picture_width = static_cast<int>(test.images.size(3) + 1) / 2 + kGap;
  const auto per_line = static_cast<size_t>(std::clamp((width_ - kIndent + kGap) / picture_width, 1, 5));
  for (size_t first = 0; first < pictures.size(); first += per_line) {
    const auto begin = pictures.begin() + static_cast<ptrdiff_t>(first);
    const auto end = pictures.begin() + static_cast<ptrdiff_t>(std::min(first + per_line, pictures.size()));
    for (const std::string& row : report::side_by_side({begin, end}, kGap)) line("  " + row);
  }
  const bool good = unchanged == count && right * 10 >= count * 9;
  tick(good, fmt::format("{} PNG files written to {}, read back bit for bit, {} of {} recognised", unchanged, folder.string(),
                         right, count));
  facts.set("model", model_path_).set("same_predictions", same).set("images", count).set("images_recognised", right);
}

void Demo::print_next() {
  std::vector<std::pair<std::string, std::string>> lines;
  if (!image_path_.empty()) lines.emplace_back("convoy predict --weights " + model_path_ + " " + image_path_, "what is on it?");
  if (!model_path_.empty())
    lines.emplace_back("convoy fuse --weights " + model_path_ + " -o folded.safetensors --verify 100", "the same, folded");
  lines.emplace_back("convoy shape conv2d -i 224 -k 7 -s 2 -p 3", "output size and why");
  lines.emplace_back("convoy train --data shapes --net lenet --save lenet.safetensors", "stop, resume");
  if (!cases_folder_.empty()) lines.emplace_back("convoy check " + cases_folder_, "PyTorch, op by op");
  lines.emplace_back("convoy bench --layer \"n1 ic64 oc64 i56 k3 p1\" --explain", "how fast, and why");
  const auto exists = [](const std::string& command) {
    const std::vector<Command>& all = all_commands();
    return std::any_of(all.begin(), all.end(), [&](const Command& c) { return command.starts_with("convoy " + c.name); });
  };
  std::erase_if(lines, [&](const auto& entry) { return !exists(entry.first); });
  int command_width = 0, text_width = 0;
  for (const auto& [command, text] : lines) {
    command_width = std::max(command_width, report::display_width(command));
    text_width = std::max(text_width, report::display_width(text));
  }
  constexpr int kIndent = 7, kGap = 3;
  const report::Terminal& terminal = style_.terminal();
  const bool explained = !terminal.is_terminal || kIndent + command_width + kGap + text_width < terminal.columns;
  for (size_t i = 0; i < lines.size(); ++i) {
    session_.print(i == 0 ? "\nNext:  " : "       ");
    session_.print(explained ? report::pad_right(lines[i].first, command_width + kGap) + style_.dim(lines[i].second)
                             : lines[i].first);
    session_.print("\n");
  }
}

int Demo::run() {
  const auto start = Clock::now();
  session_.print(fmt::format("{} · nothing is downloaded · {}\n", banner(style_, options_.seed),
                             options_.quick ? "a second or two" : "less than a minute"));
  bool interrupted = false;
  const auto document = [&] {
    session_.document(Json::object({{"schema", "convoy.demo/1"},
                                    {"version", CONVOY_VERSION},
                                    {"seed", options_.seed},
                                    {"threads", num_threads()},
                                    {"quick", options_.quick},
                                    {"steps", steps_},
                                    {"interrupted", interrupted},
                                    {"passed", failed_checks_ == 0 && !interrupted},
                                    {"seconds", since(start)}}));
  };
  try {
    step("One convolution you can check by hand", [&](Json& facts) { convolve_by_hand(facts); });
    step("Same numbers as PyTorch", [&](Json& facts) { compare_with_pytorch(facts); });
    if (!options_.quick) {
      step("Train a small network on drawn shapes", [&](Json& facts) { train(facts); });
      step("Fold each block into one 3×3 convolution (no retraining)", [&](Json& facts) { fold(facts); });
      step("Save it, load it, use it on image files", [&](Json& facts) { save_and_use(facts); });
    }
  } catch (const Interrupted&) {
    interrupted = true;
    document();
    throw;
  }
  if (options_.quick) session_.print(style_.dim(fmt::format("\nsteps 3 to {} (training) left out: --quick\n", kSteps)));
  if (failed_checks_ > 0) {
    session_.print("\n" + style_.mark(false) + " " + report::counted(failed_checks_, "check") + " failed\n");
  }
  print_next();
  document();
  return failed_checks_ == 0 ? kOk : kCheckFailed;
}

int run(const Options& options, Session& session) { return Demo(options, session).run(); }

}  // namespace

Command demo_command() {
  return make_command<Options>({.name = "demo",
                                .arguments = "",
                                .summary = "one minute that shows what it does and that its numbers are right",
                                .examples = {"convoy demo", "convoy demo --quick", "convoy demo --json"}},
                               declare, run);
}

}  // namespace convoy::cli
