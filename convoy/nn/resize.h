// Layers that trade channels for space, and upsampling.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/nn/layer_options.h"
#include "convoy/nn/module.h"
#include "convoy/ops/rearrange.h"

namespace convoy::nn {

struct PixelShuffleOptions {
  int64_t upscale_factor = kRequired;
};

/// (*, C r^2, H, W) -> (*, C, H r, W r). Source: torch.nn.PixelShuffle.
class PixelShuffle : public Module {
 public:
  explicit PixelShuffle(PixelShuffleOptions options);
  std::string type() const override { return "PixelShuffle"; }
  std::string extra_repr() const override { return "upscale_factor=" + std::to_string(options_.upscale_factor); }
  Variable forward(const Variable& input) override;
  const PixelShuffleOptions& options() const { return options_; }

 private:
  PixelShuffleOptions options_;
};

struct PixelUnshuffleOptions {
  int64_t downscale_factor = kRequired;
};

/// (*, C, H r, W r) -> (*, C r^2, H, W). Source: torch.nn.PixelUnshuffle.
class PixelUnshuffle : public Module {
 public:
  explicit PixelUnshuffle(PixelUnshuffleOptions options);
  std::string type() const override { return "PixelUnshuffle"; }
  std::string extra_repr() const override { return "downscale_factor=" + std::to_string(options_.downscale_factor); }
  Variable forward(const Variable& input) override;
  const PixelUnshuffleOptions& options() const { return options_; }

 private:
  PixelUnshuffleOptions options_;
};

/// One factor for every axis, or one per axis.
class ScaleFactor {
 public:
  ScaleFactor() = default;
  ScaleFactor(double factor) : values_{factor}, single_(true) {}             // NOLINT(google-explicit-constructor)
  ScaleFactor(std::initializer_list<double> factors) : values_(factors) {}   // NOLINT(google-explicit-constructor)
  ScaleFactor(std::vector<double> factors) : values_(std::move(factors)) {}  // NOLINT(google-explicit-constructor)

  bool empty() const { return values_.empty(); }
  bool single() const { return single_; }
  const std::vector<double>& values() const { return values_; }

 private:
  std::vector<double> values_;
  bool single_ = false;
};

/// Either size or scale_factor. align_corners is for bilinear and bicubic.
struct UpsampleOptions {
  IntList size = {};
  ScaleFactor scale_factor = {};
  InterpolateMode mode = InterpolateMode::kNearest;
  std::optional<bool> align_corners = {};
};

/// Resizes the spatial axes of (N, C, *).
///
/// With a scale_factor the output has floor(n * scale_factor) positions at steps of 1 / scale_factor.
/// Errors: PyTorch's words ("only one of size or scale_factor should be defined"); those of ops::interpolate.
/// Source: torch.nn.Upsample.
class Upsample : public Module {
 public:
  explicit Upsample(UpsampleOptions options) : Upsample("Upsample", std::move(options), true) {}
  std::string type() const override { return type_; }
  std::string extra_repr() const override;
  std::string unprinted() const override;
  Variable forward(const Variable& input) override;
  const UpsampleOptions& options() const { return options_; }

 protected:
  /// The other classes fix mode and align_corners.
  Upsample(const char* type, UpsampleOptions options, bool chooses_mode);

 private:
  const char* type_;
  UpsampleOptions options_;
  bool chooses_mode_;
};

/// Arguments of UpsamplingNearest2d and UpsamplingBilinear2d: one of them.
struct UpsamplingOptions {
  IntList size = {};
  ScaleFactor scale_factor = {};
};

/// Source: torch.nn.UpsamplingNearest2d.
class UpsamplingNearest2d : public Upsample {
 public:
  explicit UpsamplingNearest2d(UpsamplingOptions o)
      : Upsample("UpsamplingNearest2d", {.size = std::move(o.size), .scale_factor = std::move(o.scale_factor)}, false) {}
};

/// Corners aligned. Source: torch.nn.UpsamplingBilinear2d.
class UpsamplingBilinear2d : public Upsample {
 public:
  explicit UpsamplingBilinear2d(UpsamplingOptions o)
      : Upsample("UpsamplingBilinear2d",
                 {.size = std::move(o.size),
                  .scale_factor = std::move(o.scale_factor),
                  .mode = InterpolateMode::kBilinear,
                  .align_corners = true},
                 false) {}
};

}  // namespace convoy::nn
