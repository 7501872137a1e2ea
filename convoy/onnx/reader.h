// ONNX files become graphs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "convoy/graph/graph.h"
#include "convoy/graph/value.h"
#include "convoy/onnx/limits.h"

namespace convoy::onnx {

struct ReadOptions {
  Limits limits = {};
  /// Read values from other files in the model's folder.
  bool external_data = false;
  /// Where the nodes go that could be read, if a later one cannot: for tables that end where the trouble is.
  graph::Graph* partial = nullptr;
  /// Told, while values are read, how many of their bytes are done, and of how many.
  std::function<void(int64_t done, int64_t total)> progress = {};
};

/// The graph of a model file: nodes sorted, old forms brought to the newest, functions expanded, types inferred.
///
/// Errors: FileError "PATH: node 'conv1' (Conv): ..." that names node, attribute and value; nothing is allocated for what the file
/// does not hold.
/// Source: onnx.proto, IR versions 3 to 13, opsets 1 to 25.
graph::Graph read(const std::string& path, const ReadOptions& options = {});
/// The same from memory; `name` stands for the path in messages, `folder` for the model's folder.
graph::Graph read_bytes(std::string_view bytes, const std::string& name = "model", const ReadOptions& options = {},
                        const std::string& folder = {});

/// One value as ONNX's test data holds them: a TensorProto (or SequenceProto, OptionalProto) alone in a file.
enum class ValueKind : uint8_t { kTensor, kSequence, kOptional };
graph::Value read_value(const std::string& path, ValueKind kind = ValueKind::kTensor);

}  // namespace convoy::onnx
