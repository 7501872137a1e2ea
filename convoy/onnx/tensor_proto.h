// Tensors as ONNX files hold them (onnx.TensorProto and its kin).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/core/dtype.h"
#include "convoy/graph/value.h"
#include "convoy/onnx/external_data.h"
#include "convoy/onnx/limits.h"
#include "convoy/onnx/wire.h"

namespace convoy::onnx {

/// Values that have a place, but are not there yet.
struct PendingValues {
  std::string_view from;
  Tensor to;
};

/// What reading a tensor depends on.
struct TensorSource {
  const Source& source;
  Limits limits = {};
  /// The folder that external data may lie in; empty: external data is refused.
  std::string folder = {};
  std::shared_ptr<ExternalReads> external_reads = std::make_shared<ExternalReads>();
  /// Where large values are listed instead of being copied: read_pending copies them, on all threads.
  std::vector<PendingValues>* pending = nullptr;
};

/// Copies what is listed. `progress`: told from time to time how many bytes are done. Errors: FileError if the file cannot be read.
void read_pending(const Source& source, const std::vector<PendingValues>& pending,
                  const std::function<void(int64_t done)>& progress);

/// onnx.TensorProto.DataType as a DType; nullopt for those that Convoy does not have (strings, complex, 8-bit floats, ...).
std::optional<DType> dtype_of_onnx(int64_t data_type);
int64_t onnx_of_dtype(DType dtype);
/// "FLOAT", "STRING", or the number if there is no such type.
std::string onnx_type_name(int64_t data_type);

struct NamedValue {
  std::string name;
  graph::Value value;
};

/// The values of a TensorProto; `what` names the tensor in messages if it has no name of its own.
///
/// Errors: FileError "PATH: initializer 'w': raw_data has 100 bytes, shape [2, 72] of float32 needs 576" and the like; nothing is
/// allocated before all is known to fit.
NamedValue read_tensor_proto(const TensorSource& source, std::string_view message, const std::string& what);

/// A SparseTensorProto, made dense.
NamedValue read_sparse_tensor_proto(const TensorSource& source, std::string_view message, const std::string& what);

}  // namespace convoy::onnx
