#include "cli/training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/interrupt.h"
#include "convoy/autograd/functions.h"
#include "convoy/core/random.h"
#include "convoy/ops/reduce.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace {

constexpr int64_t kEvaluationBatch = 256;

std::unique_ptr<optim::Optimizer> make_optimizer(const TrainingSettings& settings, const nn::Module& module) {
  if (settings.optimizer == "sgd") {
    return std::make_unique<optim::SGD>(
        module.parameters(),
        optim::SGDOptions{.lr = settings.lr, .momentum = settings.momentum, .weight_decay = settings.weight_decay});
  }
  const optim::AdamOptions options{.lr = settings.lr, .weight_decay = settings.weight_decay};
  return std::make_unique<optim::Adam>(module.parameters(), options, settings.optimizer == "adamw");
}

// Class numbers and summed loss of one batch.
std::vector<int64_t> classes_of(const Tensor& logits) { return ops::argmax(logits, 1).to_vector<int64_t>(); }

}  // namespace

std::vector<std::pair<std::string, std::string>> TrainingSettings::as_options() const {
  std::vector<std::pair<std::string, std::string>> options{{"--data", data},
                                                           {"--net", net},
                                                           {"--epochs", std::to_string(epochs)},
                                                           {"--batch-size", std::to_string(batch_size)},
                                                           {"--optimizer", optimizer},
                                                           {"--lr", report::shortest(lr)}};
  if (optimizer == "sgd") options.emplace_back("--momentum", report::shortest(momentum));
  options.emplace_back("--weight-decay", report::shortest(weight_decay));
  options.emplace_back("--schedule", schedule);
  options.emplace_back("--seed", std::to_string(seed));
  return options;
}

std::vector<int64_t> predicted_classes(nn::Module& module, const Tensor& images) {
  const NoGradGuard no_grad;
  module.eval();
  std::vector<int64_t> classes;
  for (int64_t first = 0; first < images.size(0); first += kEvaluationBatch) {
    const Tensor logits = module(images.slice(first, std::min(first + kEvaluationBatch, images.size(0)))).data();
    const std::vector<int64_t> more = classes_of(logits);
    classes.insert(classes.end(), more.begin(), more.end());
  }
  return classes;
}

std::string fingerprint(const data::Dataset& dataset) {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  const auto add = [&](const void* bytes, size_t count) {
    const auto* b = static_cast<const unsigned char*>(bytes);
    for (size_t i = 0; i < count; ++i) hash = (hash ^ b[i]) * 0x100000001b3u;
  };
  if (dataset.images.defined()) {
    const std::string shape = to_string(dataset.images.shape());
    add(shape.data(), shape.size());
    add(dataset.images.raw_data(), dataset.images.nbytes());
    add(dataset.labels.raw_data(), dataset.labels.nbytes());
  }
  for (const std::string& name : dataset.classes) add(name.c_str(), name.size() + 1);
  return fmt::format("{:016x}", hash);
}

Training::Training(TrainingSettings settings, std::shared_ptr<nn::Module> network, data::Split data)
    : settings_(std::move(settings)),
      network_(std::move(network)),
      data_(std::move(data)),
      loader_(data_.train, settings_.batch_size, true, static_cast<uint64_t>(settings_.seed)),
      optimizer_(make_optimizer(settings_, *network_)) {
  if (settings_.schedule == "step") step_schedule_.emplace(*optimizer_, std::max<int64_t>(1, (settings_.epochs + 2) / 3));
  if (settings_.schedule == "cosine") cosine_schedule_.emplace(*optimizer_, settings_.epochs);
}

std::string Training::position() const {
  if (finished()) return report::counted(epoch_, "epoch") + " done";
  if (batch_ == 0) return fmt::format("{} of {} done", epoch_, report::counted(settings_.epochs, "epoch"));
  return fmt::format("epoch {} of {}, batch {} of {} done", epoch_ + 1, settings_.epochs, batch_, loader_.batches());
}

void Training::start_epoch() {
  loader_.start_epoch(epoch_);
  if (step_schedule_) step_schedule_->set_epoch(epoch_);
  if (cosine_schedule_) cosine_schedule_->set_epoch(epoch_);
}

void Training::train_batch() {
  const data::Batch batch = loader_.batch(batch_);
  optimizer_->zero_grad();
  Variable loss = cross_entropy(network_->forward(batch.images), batch.labels);
  loss.backward();
  optimizer_->step();
  const double mean = loss.item();
  const int64_t images = batch.labels.numel();
  loss_sum_ += mean * static_cast<double>(images);
  images_seen_ += images;
  batch_losses_.push_back(mean);
  ++batch_;
}

bool Training::evaluate_test_set(Evaluation& evaluation) const {
  const NoGradGuard no_grad;
  network_->eval();
  const data::Dataset& test = data_.test;
  double loss_sum = 0;
  for (int64_t first = 0; first < test.size(); first += kEvaluationBatch) {
    if (stop_signal() != 0) return false;
    const int64_t last = std::min(first + kEvaluationBatch, test.size());
    const Tensor labels = test.labels.slice(first, last);
    const Tensor logits = network_->forward(test.images.slice(first, last)).data();
    loss_sum += cross_entropy(logits, labels, {.reduction = Reduction::kSum}).item();
    const std::vector<int64_t> classes = classes_of(logits);
    for (size_t i = 0; i < classes.size(); ++i) evaluation.correct += classes[i] == labels.data<int64_t>()[i];
    evaluation.images += last - first;
  }
  if (evaluation.images > 0) evaluation.loss = loss_sum / static_cast<double>(evaluation.images);
  return true;
}

bool Training::run(Session& session, const std::function<void(const EpochResult&)>& after_epoch) {
  const int64_t batches = loader_.batches();
  report::Progress progress(session.progress(), settings_.epochs * batches, "img", static_cast<double>(settings_.batch_size));
  progress.start_at(epoch_ * batches + batch_);
  bool warned = false;
  while (!finished()) {
    start_epoch();
    network_->train();
    progress.section(fmt::format("epoch {:>{}}", epoch_ + 1, std::to_string(settings_.epochs).size()), epoch_ * batches,
                     (epoch_ + 1) * batches);
    while (batch_ < batches) {
      if (stop_signal() != 0) return false;
      train_batch();
      const double mean = loss_sum_ / static_cast<double>(images_seen_);
      progress.update(epoch_ * batches + batch_, "loss " + report::fixed(mean, 3));
      if (!std::isfinite(mean) && !warned) {
        progress.clear();
        session.warn(fmt::format("the loss is {} since epoch {}, batch {}\na smaller --lr may help (it is {})", mean, epoch_ + 1,
                                 batch_, report::shortest(optimizer_->lr())));
        warned = true;
      }
    }
    EpochResult result{.epoch = epoch_ + 1, .lr = optimizer_->lr(), .loss = loss_sum_ / static_cast<double>(images_seen_)};
    result.images_per_second = progress.rate();
    Evaluation evaluation;
    if (!evaluate_test_set(evaluation)) return false;
    result.test_loss = evaluation.loss;
    result.test_accuracy = evaluation.accuracy();
    results_.push_back(result);
    ++epoch_;
    batch_ = 0;
    loss_sum_ = 0;
    images_seen_ = 0;
    progress.clear();
    after_epoch(result);
  }
  return true;
}

std::string Training::data_fingerprint() const {
  if (data_fingerprint_.empty()) data_fingerprint_ = fingerprint(data_.train) + fingerprint(data_.test);
  return data_fingerprint_;
}

void Training::save(const std::string& path) const {
  const Shape& images = data_.train.images.shape();
  ModelFile file{.info = ModelInfo{settings_.net, Shape(images.begin() + 1, images.end()), data_.train.classes}};
  if (!finished()) {
    Checkpoint checkpoint{.data_fingerprint = data_fingerprint(),
                          .optimizer = optimizer_->state(),
                          .generator = default_generator().state(),
                          .epoch = epoch_,
                          .batch = batch_,
                          .images_seen = images_seen_,
                          .loss_sum = loss_sum_};
    for (const auto& [option, value] : settings_.as_options()) checkpoint.settings[option] = value;
    for (const EpochResult& r : results_)
      checkpoint.results.insert(checkpoint.results.end(), {r.lr, r.loss, r.test_loss, r.test_accuracy});
    file.checkpoint = std::move(checkpoint);
  }
  save_model(path, *network_, file);
}

void Training::restore(const std::string& path, const Checkpoint& checkpoint) {
  if (checkpoint.data_fingerprint != data_fingerprint()) {
    throw FileError(path + ": the images, labels or class names are not those it was trained with",
                    fmt::format("this run has {} training and {} test images from '{}'", report::grouped(data_.train.size()),
                                report::grouped(data_.test.size()), settings_.data));
  }
  const size_t values = checkpoint.results.size();  // four an epoch
  if (checkpoint.batch < 0 || checkpoint.batch > loader_.batches() || checkpoint.images_seen < 0 ||
      checkpoint.images_seen > data_.train.size() || values % 4 != 0 || checkpoint.epoch != static_cast<int64_t>(values / 4)) {
    throw FileError(path + ": its position in the training does not fit the data");
  }
  try {
    optimizer_->load_state(checkpoint.optimizer);
    default_generator().set_state(checkpoint.generator);
  } catch (const Error& error) {
    throw FileError(path + ": the training state cannot be used: " + error.reason(), error.fix());
  }
  epoch_ = checkpoint.epoch;
  batch_ = checkpoint.batch;
  images_seen_ = checkpoint.images_seen;
  loss_sum_ = checkpoint.loss_sum;
  for (size_t i = 0; i < checkpoint.results.size(); i += 4) {
    const double* r = &checkpoint.results[i];
    results_.push_back(
        {.epoch = static_cast<int64_t>(i / 4 + 1), .lr = r[0], .loss = r[1], .test_loss = r[2], .test_accuracy = r[3]});
  }
}

}  // namespace convoy::cli
