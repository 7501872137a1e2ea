// Steps that read one constant in an order of their own.
#pragma once

#include "convoy/graph/step.h"

namespace convoy::graph {

/// A step that packs one float32 input: once, or if nobody keeps that, in each run.
class PackedStep : public Step {
 public:
  const Packing* packing() const final { return packing_.bytes > 0 ? &packing_ : nullptr; }
  void pack(const Tensor& constant, void* packed) const final { pack_values(constant.data<float>(), static_cast<float*>(packed)); }
  void use_packed(const void* packed) final { packed_ = static_cast<const float*>(packed); }

 protected:
  /// packing: of no bytes if the input is read as it is.
  explicit PackedStep(Packing packing) : packing_(std::move(packing)) {}
  virtual void pack_values(const float* values, float* packed) const noexcept = 0;
  /// What a run reads; null if the input is read as it is.
  const float* packed(const StepIo& io) const noexcept {
    if (packed_ != nullptr || packing_.bytes == 0) return packed_;
    auto* const to = io.workspace.take<float>(static_cast<int64_t>(packing_.bytes / sizeof(float)));
    pack_values(io.input<float>(packing_.input), to);
    return to;
  }

 private:
  Packing packing_;
  const float* packed_ = nullptr;
};

}  // namespace convoy::graph
