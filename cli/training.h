// Training a classifier so that it can be stopped and continued with the same bits.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/model_file.h"
#include "cli/session.h"
#include "convoy/data/dataset.h"
#include "convoy/optim/optimizer.h"

namespace convoy::cli {

struct TrainingSettings {
  std::string data, net;
  int64_t epochs = 10;
  int64_t batch_size = 64;
  std::string optimizer = "sgd";
  double lr = 0.05;
  double momentum = 0.9;
  double weight_decay = 0;
  std::string schedule = "none";
  int64_t seed = 1;

  /// Option and value of everything that decides the outcome, for checkpoints and messages.
  std::vector<std::pair<std::string, std::string>> as_options() const;
};

struct EpochResult {
  int64_t epoch = 0;  // from 1
  double lr = 0;
  double loss = 0;  // mean over the epoch's training images
  double test_loss = 0, test_accuracy = 0;
  double images_per_second = 0;  // of this run, not part of a checkpoint
};

struct Evaluation {
  int64_t correct = 0, images = 0;
  double loss = 0;  // mean

  double accuracy() const { return images > 0 ? static_cast<double>(correct) / static_cast<double>(images) : 0; }
};

/// The largest logit of each image: (N) class numbers. Evaluation mode, nothing recorded.
std::vector<int64_t> predicted_classes(nn::Module& module, const Tensor& images);

/// A fingerprint of images, labels and class names: 16 hexadecimal digits.
std::string fingerprint(const data::Dataset& dataset);

class Training {
 public:
  Training(TrainingSettings settings, std::shared_ptr<nn::Module> network, data::Split data);

  /// Trains until the last epoch is done (true) or a signal asks to stop (false), between two batches. Calls `after_epoch` with
  /// each epoch's result; if it throws, the run can be continued from there.
  bool run(Session& session, const std::function<void(const EpochResult&)>& after_epoch);

  /// Writes the network as it is now, and where the run stands unless it is finished.
  void save(const std::string& path) const;
  /// Continues where a checkpoint stands. Throws FileError, naming `path`, if it does not fit this run's data or network.
  void restore(const std::string& path, const Checkpoint& checkpoint);

  bool finished() const { return epoch_ >= settings_.epochs; }
  nn::Module& network() const { return *network_; }
  const TrainingSettings& settings() const { return settings_; }
  const data::Split& data() const { return data_; }
  const std::vector<EpochResult>& results() const { return results_; }
  /// Mean loss of every batch of this run.
  const std::vector<double>& batch_losses() const { return batch_losses_; }
  /// "epoch 3, batch 17 of 63".
  std::string position() const;

 private:
  void start_epoch();
  void train_batch();
  // False if asked to stop.
  bool evaluate_test_set(Evaluation& evaluation) const;
  std::string data_fingerprint() const;

  TrainingSettings settings_;
  std::shared_ptr<nn::Module> network_;
  data::Split data_;
  data::Loader loader_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::optional<optim::StepLR> step_schedule_;
  std::optional<optim::CosineAnnealingLR> cosine_schedule_;
  int64_t epoch_ = 0, batch_ = 0;  // finished epochs, finished batches of the current one
  double loss_sum_ = 0;
  int64_t images_seen_ = 0;
  std::vector<EpochResult> results_;
  std::vector<double> batch_losses_;
  mutable std::string data_fingerprint_;
};

}  // namespace convoy::cli
