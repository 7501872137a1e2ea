#include "convoy/data/resize.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

namespace convoy::data {

namespace {

// The inputs that make up one output, and their shares.
struct Mixture {
  int64_t begin = 0;
  std::vector<float> shares;
};

std::vector<Mixture> mixtures(int64_t from, int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double reach = std::max(scale, 1.0);
  std::vector<Mixture> all(static_cast<size_t>(to));
  for (int64_t o = 0; o < to; ++o) {
    Mixture& mixture = all[static_cast<size_t>(o)];
    const double centre = (static_cast<double>(o) + 0.5) * scale;
    mixture.begin = std::max<int64_t>(0, static_cast<int64_t>(centre - reach + 0.5));
    const int64_t end = std::min(from, static_cast<int64_t>(centre + reach + 0.5));
    std::vector<double> shares;
    double sum = 0;
    for (int64_t i = mixture.begin; i < end; ++i) {
      shares.push_back(std::max(0.0, 1 - std::fabs((static_cast<double>(i) + 0.5 - centre) / reach)));
      sum += shares.back();
    }
    for (const double share : shares) mixture.shares.push_back(static_cast<float>(share / sum));
  }
  return all;
}

}  // namespace

Tensor resize_image(const Tensor& image, int64_t height, int64_t width) {
  assert(image.dim() == 3 && image.size(1) > 0 && image.size(2) > 0);
  const int64_t channels = image.size(0), from_height = image.size(1), from_width = image.size(2);
  if (from_height == height && from_width == width) return image;
  const std::vector<Mixture> columns = mixtures(from_width, width), rows = mixtures(from_height, height);
  Tensor out = Tensor::zeros({channels, height, width});
  std::vector<float> narrow(static_cast<size_t>(from_height * width));
  for (int64_t c = 0; c < channels; ++c) {
    const float* from = image.data<float>() + c * from_height * from_width;
    for (int64_t y = 0; y < from_height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const Mixture& mixture = columns[static_cast<size_t>(x)];
        float sum = 0;
        for (size_t k = 0; k < mixture.shares.size(); ++k)
          sum += mixture.shares[k] * from[y * from_width + mixture.begin + static_cast<int64_t>(k)];
        narrow[static_cast<size_t>(y * width + x)] = sum;
      }
    }
    for (int64_t y = 0; y < height; ++y) {
      float* to = out.data<float>() + (c * height + y) * width;
      const Mixture& mixture = rows[static_cast<size_t>(y)];
      for (size_t k = 0; k < mixture.shares.size(); ++k) {
        const float* row = narrow.data() + (mixture.begin + static_cast<int64_t>(k)) * width;
        for (int64_t x = 0; x < width; ++x) to[x] += mixture.shares[k] * row[x];
      }
    }
  }
  return out;
}

}  // namespace convoy::data
