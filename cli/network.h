// Networks by name or from a text file, fitted to the data they are to learn.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "convoy/nn/module.h"

namespace convoy::cli {

/// Makes a built-in network for images of a shape (C, H, W) and a number of classes (0: not known), or the network that a text file
/// describes (the printed form of a PyTorch Sequential), with weights drawn from default_generator(). Errors: UsageError for an
/// unknown name, FileError, ShapeMismatch as check_fit.
std::shared_ptr<nn::Module> make_network(const std::string& name_or_file, const Shape& image_shape, int64_t classes);

/// Sends zeros through the layers one by one, so that the first that does not fit is named.
/// Errors: ShapeMismatch if images of this shape do not pass, or if the answer is not one number per class (0: any
/// number).
void check_fit(nn::Module& network, const std::string& name, const Shape& image_shape, int64_t classes);

/// The names of the built-in networks.
std::vector<std::string> network_names();

/// The number of values in the parameters.
int64_t parameter_count(const nn::Module& module);

}  // namespace convoy::cli
