#include "convoy/nn/checkpoint.h"

#include <algorithm>
#include <string_view>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/random.h"
#include "convoy/io/safetensors.h"
#include "convoy/nn/error_context.h"
#include "convoy/nn/parse.h"

namespace convoy::nn {

namespace {

constexpr std::string_view kTraining = "convoy.training.";
constexpr std::string_view kOptimizer = "convoy.training.optimizer.";
constexpr const char* kGenerator = "convoy.training.generator";
constexpr const char* kNetwork = "convoy.network";
constexpr std::string_view kProgress = "convoy.progress.";
constexpr int64_t kSmallNetwork = 1 << 20;  // values, which are drawn in milliseconds: what a file lacks of them is named

bool begins(const std::string& text, std::string_view prefix) { return text.compare(0, prefix.size(), prefix) == 0; }

LoadReport load_values(const io::SafeTensors& file, const std::string& path, Module& module, bool strict) {
  StateDict state;
  for (const auto& entry : file.tensors) {
    if (!begins(entry.first, kTraining)) state.push_back(entry);
  }
  return with_context([&] { return module.load_state_dict(state, strict); }, [&](const Error&) { return "in " + path; });
}

}  // namespace

void save_checkpoint(const std::string& path, const Module& module, const TrainingState& training) {
  io::SafeTensors file;
  for (auto& [name, value] : module.state_dict()) {
    if (begins(name, kTraining)) raise<ValueError>("the name {} is kept for the state of the training\nrename the layer", name);
    file.tensors.emplace_back(name, value);
  }
  for (const auto& [name, value] : training.optimizer) file.tensors.emplace_back(std::string(kOptimizer) + name, value);
  if (!training.generator.empty()) {
    file.tensors.emplace_back(kGenerator, Tensor::from(training.generator, {static_cast<int64_t>(training.generator.size())}));
  }
  file.metadata["format"] = "pt";  // what Python's readers expect
  file.metadata[kNetwork] = module.definition();
  for (const auto& [name, value] : training.progress) file.metadata[std::string(kProgress) + name] = value;
  io::write_safetensors(path, file);
}

LoadReport load_checkpoint(const std::string& path, Module& module, bool strict) {
  return load_values(io::read_safetensors(path), path, module, strict);
}

std::shared_ptr<Module> load_network(const std::string& path) {
  const io::SafeTensors file = io::read_safetensors(path);
  const auto text = file.metadata.find(kNetwork);
  if (text == file.metadata.end()) {
    raise<FileError>(
        "{}: the file does not say which network its values belong to\n"
        "write the printed form of the network (in Python: print(model)) to a text file and build it from that",
        path);
  }
  const Generator before = default_generator();
  std::shared_ptr<Module> module;
  try {
    // A small file makes no large network, to be refused when its values are drawn. (Layers may count more values than they keep.)
    ParseLimits limits;
    int64_t held = kSmallNetwork;
    for (const auto& [name, value] : file.tensors) held += 2 * value.numel();
    limits.parameters = std::min(limits.parameters, held);
    module = parse(text->second, limits);
  } catch (const Error& e) {
    default_generator() = before;
    raise<FileError>("{}: {}\n{}", path, e.reason(), e.fix());
  }
  default_generator() = before;
  load_values(file, path, *module, true);
  return module;
}

TrainingState load_training_state(const std::string& path) {
  const io::SafeTensors file = io::read_safetensors(path);
  TrainingState training;
  for (const auto& [name, value] : file.tensors) {
    if (begins(name, kOptimizer)) training.optimizer.emplace_back(name.substr(kOptimizer.size()), value);
  }
  if (const Tensor* generator = file.find(kGenerator)) training.generator = generator->to_vector<int64_t>();
  for (const auto& [name, value] : file.metadata) {
    if (begins(name, kProgress)) training.progress[name.substr(kProgress.size())] = value;
  }
  return training;
}

}  // namespace convoy::nn
