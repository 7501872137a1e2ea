// Shorter forms of what tables of layers say, for narrow terminals.
#pragma once

#include <string>

namespace convoy::cli {

/// "[1, 64, 56, 56]" is "[1,64,56,56]".
std::string brief_shape(const std::string& shape);

/// "conv_pointwise" is "pointwise".
std::string brief_algorithm(const std::string& name);

/// A layer's descriptor without what goes without saying: "n1 ic64 oc64 g1 ih56 iw56 kh3 kw3 sh1 sw1 ph1 pw1 dh1 dw1" is
/// "ic64 oc64 i56 k3 p1". Other names stay as they are.
std::string brief_layer(const std::string& name);

}  // namespace convoy::cli
