#include "cli/model_file.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "convoy/core/error.h"
#include "convoy/io/file.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace {

using Json = nlohmann::json;

constexpr const char* kSchema = "convoy.model/1";

// Hexadecimal text keeps every bit, and what is not finite.
std::string exact(double value) { return fmt::format("{:a}", value); }

double exact(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') throw std::invalid_argument(io::quote(text) + " is not a number");
  return value;
}

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

void save_model(const std::string& path, const nn::Module& network, const ModelFile& file) {
  nn::TrainingState state;
  if (file.info || file.checkpoint) state.progress["schema"] = kSchema;
  if (file.info) {
    state.progress["net"] = file.info->net;
    state.progress["image_shape"] = text_of(file.info->image_shape);
    state.progress["classes"] = text_of(file.info->classes);
  }
  if (file.checkpoint) {
    const Checkpoint& checkpoint = *file.checkpoint;
    state.optimizer = checkpoint.optimizer;
    state.generator = checkpoint.generator;
    state.progress["settings"] = text_of(checkpoint.settings);
    state.progress["data_fingerprint"] = checkpoint.data_fingerprint;
    state.progress["position"] = text_of(Json::array({checkpoint.epoch, checkpoint.batch, checkpoint.images_seen}));
    state.progress["loss_sum"] = exact(checkpoint.loss_sum);
    Json results = Json::array();
    for (const double value : checkpoint.results) results.push_back(exact(value));
    state.progress["results"] = text_of(results);
  }
  nn::save_checkpoint(path, network, state);
}

std::string with_size(const std::string& path) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  return error ? path : fmt::format("{} ({})", path, report::bytes(static_cast<int64_t>(size)));
}

ModelFile load_model(const std::string& path) {
  nn::TrainingState state = nn::load_training_state(path);
  ModelFile file;
  const auto schema = state.progress.find("schema");
  if (schema == state.progress.end()) return file;
  if (schema->second != kSchema) {
    throw FileError(path + ": was written as " + io::quote(schema->second) + ", this program reads " + kSchema,
                    "a newer convoy may have written it");
  }
  if (!state.progress.contains("net")) return file;
  try {
    const auto json = [&](const char* name) { return Json::parse(state.progress.at(name)); };
    // Json converts 1e99 to an integer of any value.
    const auto integers = [&](const char* name) {
      const Json list = json(name);
      for (const Json& number : list) {
        if (!number.is_number_integer()) throw std::invalid_argument(std::string(name) + " is no list of whole numbers");
      }
      return list.get<std::vector<int64_t>>();
    };
    file.info = ModelInfo{state.progress.at("net"), integers("image_shape"), json("classes").get<std::vector<std::string>>()};
    if (file.info->image_shape.size() != 3 || numel(file.info->image_shape) <= 0)
      throw std::invalid_argument("image_shape is not (C, H, W)");
    if (!state.progress.contains("settings")) return file;
    Checkpoint checkpoint{.settings = json("settings").get<std::map<std::string, std::string>>(),
                          .data_fingerprint = state.progress.at("data_fingerprint"),
                          .optimizer = std::move(state.optimizer),
                          .generator = std::move(state.generator)};
    const auto position = integers("position");
    checkpoint.epoch = position.at(0);
    checkpoint.batch = position.at(1);
    checkpoint.images_seen = position.at(2);
    checkpoint.loss_sum = exact(state.progress.at("loss_sum"));
    for (const std::string& value : json("results").get<std::vector<std::string>>()) checkpoint.results.push_back(exact(value));
    file.checkpoint = std::move(checkpoint);
  } catch (const std::exception& error) {
    throw FileError(path + ": what it says about its training cannot be understood", error.what());
  }
  return file;
}

}  // namespace convoy::cli
