// A trained network as fewer layers that give the same answers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "convoy/nn/module.h"

namespace convoy::nn {

/// Layers that became one.
struct FusedPlace {
  std::string name;                             // of the first of them in the network: "stage1.0"
  std::string fused_name;                       // of the layer in the fused network
  std::string what;                             // "ACBlock", "Conv2d + BatchNorm2d"
  std::vector<std::shared_ptr<Module>> before;  // applied one after the other
  std::shared_ptr<Module> after;                // with what follows inside the place: Sequential(Conv2d, ReLU) for a RepVGGBlock
  bool exact = true;                            // false: differs where padding is read (FuseOptions::inexact)
};

/// A normalisation that could not be folded, why, and what would help.
struct KeptPlace {
  std::string name, what, reason, remedy;
};

struct Fused {
  std::shared_ptr<Module> module;
  std::vector<FusedPlace> places;
  std::vector<KeptPlace> kept;
};

struct FuseOptions {
  /// Also fold a batch normalisation into the zero-padded convolution that follows it, which changes the outputs near the border.
  bool inexact = false;
};

/// Folds blocks into their one convolution, and batch normalisation into the convolution, transposed convolution or linear layer
/// before it or, where that is exact, after it: BNAndPad into an unpadded convolution (which then pads with zeros), with the 1x1
/// convolution in front of it. Looks into Sequential and Composed (torchvision's networks). Computed in float64, rounded once. The
/// given network stays as it is; layers that need no change are shared with it. In a Sequential, layers named 0, 1, 2, ... are
/// numbered anew, others keep their names; in a Composed all keep theirs, and one that went into another leaves an Identity. The
/// result is in evaluation mode. Batch normalisation on a linear layer is taken to see (N, features).
///
/// Errors: Error "Fusion only for eval!" if a layer is in training mode; as ops::batch_norm_affine for damaged statistics.
/// Source: torch.nn.utils.fusion.fuse_conv_bn_eval for convolution and batch normalisation.
Fused fuse(const std::shared_ptr<Module>& module, const FuseOptions& options = {});

}  // namespace convoy::nn
