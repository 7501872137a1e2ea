// Names that exporters make up, in little room.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace convoy::report {

/// Names of layers in `width` columns or fewer. What says least goes first, for all of them alike: the last part, where the layer's
/// type stands beside it; parts that the next one begins with; then, of each that is still too long, the front.
/// "/layer1/layer1.0/conv1/Conv" of type Conv is "/layer1/layer1.0/conv1", then "…layer1.0/conv1", then "….0/conv1". Texts of
/// several words lose their middle, those with escape sequences stay. `gap` stands for what went. `types` may be empty.
std::vector<std::string> short_names(std::vector<std::string> names, const std::vector<std::string>& types, int width,
                                     std::string_view gap);

}  // namespace convoy::report
