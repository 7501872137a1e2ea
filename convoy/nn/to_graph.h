// Layers as an inference graph, for export (onnx/writer.h) and for running what was trained with the graph's passes.
#pragma once

#include "convoy/graph/graph.h"
#include "convoy/nn/module.h"

namespace convoy::nn {

/// What the network computes in evaluation mode, with one input "x" and one output "y", in operators that ONNX has. The parameters
/// are shared, not copied.
///
/// Shapes: input_shape is that of x, with batch; -1 for a size that may be any (the first is called N). Sizes that a layer must
/// know (adaptive pooling to more than one position, Unflatten) must be known. Errors: Error that names the layer for those without
/// a form in ONNX; the shape rules' own ("node '0.weight' ...").
graph::Graph to_graph(Module& net, const Shape& input_shape, DType dtype = DType::kFloat32);

}  // namespace convoy::nn
