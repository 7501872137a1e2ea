// Graphs become ONNX files.
#pragma once

#include <string>

#include "convoy/graph/graph.h"

namespace convoy::onnx {

/// The graph as an ONNX file (onnx.ModelProto), in opset 17 unless an operator, a type or a size came later. An output whose rank
/// only a run tells has the shape that its file stated, or none: runtimes load that, ONNX's checker does not.
///
/// Errors: Error that names the node for operators that only Convoy has (those that passes make: write the graph as it was read)
/// and for values that are no tensors of numbers.
std::string write_bytes(const graph::Graph& graph);

/// Writes it to a file, which appears whole or not at all. Errors: as write_bytes; FileError if it cannot be written, or would have
/// more than 2 GiB, protobuf's limit.
void save(const graph::Graph& graph, const std::string& path);

}  // namespace convoy::onnx
