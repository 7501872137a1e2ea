#include "convoy/core/random.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy {

namespace {
constexpr int kWords = 624;
constexpr int kOffset = 397;
constexpr double kTwoPi = 6.283185307179586476925286766559;

Generator& chosen(Generator* generator) { return generator != nullptr ? *generator : default_generator(); }

// A number as a C++ stream writes it, which is how PyTorch's messages do.
std::string number(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

// normal_fill of PyTorch: uniform values, then Box-Muller over each block of 16 (cosines in the first eight, sines in the last).
template <class T>
void box_muller_16(T* p, T mean, T std) {
  for (int j = 0; j < 8; ++j) {
    const T u1 = 1 - p[j];  // (0, 1], for the logarithm
    const T u2 = p[j + 8];
    const T radius = std::sqrt(-2 * std::log(u1));
    const T theta = static_cast<T>(2.0f * M_PI) * u2;
    p[j] = radius * std::cos(theta) * std + mean;
    p[j + 8] = radius * std::sin(theta) * std + mean;
  }
}

template <class T>
T uniform(Generator& g) {
  if constexpr (sizeof(T) == 4) {
    return g.uniform_float();
  } else {
    return g.uniform_double();
  }
}

template <class T>
void fill_normal(T* p, int64_t n, T mean, T std, Generator& g) {
  if (n < 16) {
    for (int64_t i = 0; i < n; ++i) p[i] = static_cast<T>(g.normal() * std + mean);
    return;
  }
  for (int64_t i = 0; i < n; ++i) p[i] = uniform<T>(g);
  for (int64_t i = 0; i + 15 < n; i += 16) box_muller_16(p + i, mean, std);
  if (n % 16 != 0) {  // the last 16 are drawn again
    T* tail = p + n - 16;
    for (int i = 0; i < 16; ++i) tail[i] = uniform<T>(g);
    box_muller_16(tail, mean, std);
  }
}

}  // namespace

Generator::Generator(uint64_t seed) { manual_seed(seed); }

void Generator::manual_seed(uint64_t seed) {
  seed_ = seed;
  words_[0] = static_cast<uint32_t>(seed & 0xffffffffu);
  for (uint32_t i = 1; i < kWords; ++i) words_[i] = 1812433253u * (words_[i - 1] ^ (words_[i - 1] >> 30)) + i;
  index_ = kWords;
  has_normal_ = false;
  next_normal_ = 0;
}

uint32_t Generator::next32() {
  if (index_ == kWords) {
    for (int i = 0; i < kWords; ++i) {
      const uint32_t y =
          (words_[static_cast<size_t>(i)] & 0x80000000u) | (words_[static_cast<size_t>((i + 1) % kWords)] & 0x7fffffffu);
      words_[static_cast<size_t>(i)] =
          words_[static_cast<size_t>((i + kOffset) % kWords)] ^ (y >> 1) ^ ((y & 1u) != 0 ? 0x9908b0dfu : 0u);
    }
    index_ = 0;
  }
  uint32_t y = words_[static_cast<size_t>(index_++)];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  y ^= y >> 18;
  return y;
}

uint64_t Generator::next64() {
  const uint64_t high = next32();
  return (high << 32) | next32();
}

float Generator::uniform_float(float from, float to) {
  const float u = static_cast<float>(next32() & ((1u << 24) - 1)) * 0x1p-24f;
  return std::fma(u, to - from, from);
}

double Generator::uniform_double(double from, double to) {
  const double u = static_cast<double>(next64() & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
  return std::fma(u, to - from, from);
}

double Generator::normal() {
  if (has_normal_) {
    has_normal_ = false;
    return next_normal_;
  }
  const double u1 = uniform_double();
  const double u2 = uniform_double();
  const double r = std::sqrt(-2.0 * std::log1p(-u2));
  const double theta = kTwoPi * u1;
  next_normal_ = r * std::sin(theta);
  has_normal_ = true;
  return r * std::cos(theta);
}

int64_t Generator::below(int64_t n) {
  if (n < 1) raise<ValueError>("below expects n >= 1, but got {}\nbelow(n) draws from 0 to n - 1", n);
  return n > 0xffffffffLL ? static_cast<int64_t>(next64() % static_cast<uint64_t>(n))
                          : static_cast<int64_t>(next32() % static_cast<uint64_t>(n));
}

std::vector<int64_t> Generator::state() const {
  std::vector<int64_t> s(words_.begin(), words_.end());
  s.push_back(index_);
  s.push_back(static_cast<int64_t>(seed_));
  s.push_back(has_normal_ ? 1 : 0);
  int64_t bits = 0;
  std::memcpy(&bits, &next_normal_, sizeof bits);
  s.push_back(bits);
  return s;
}

void Generator::set_state(const std::vector<int64_t>& s) {
  const auto is_word = [](int64_t w) { return w >= 0 && w <= 0xffffffffLL; };
  const bool legal = s.size() == kWords + 4 && s[kWords] >= 0 && s[kWords] <= kWords &&
                     (s[kWords + 2] == 0 || s[kWords + 2] == 1) && std::all_of(s.begin(), s.begin() + kWords, is_word);
  if (!legal) raise<ValueError>("the generator state does not have the form that state() gives\nit should be 628 integers");
  for (size_t i = 0; i < kWords; ++i) words_[i] = static_cast<uint32_t>(s[i]);
  index_ = static_cast<int>(s[kWords]);
  seed_ = static_cast<uint64_t>(s[kWords + 1]);
  has_normal_ = s[kWords + 2] != 0;
  std::memcpy(&next_normal_, &s[kWords + 3], sizeof next_normal_);
}

Generator& default_generator() {
  static Generator generator(5489);
  return generator;
}

void manual_seed(uint64_t seed) { default_generator().manual_seed(seed); }

void uniform_(Tensor& tensor, double low, double high, Generator* generator) {
  if (!(low <= high)) {
    raise<Error>(
        "uniform_ expects to return a [from, to) range, but found from={} > to={}\n"
        "swap the two",
        number(low), number(high));
  }
  Generator& g = chosen(generator);
  if (tensor.dtype() == DType::kFloat64) {
    double* p = tensor.data<double>();
    for (int64_t i = 0; i < tensor.numel(); ++i) p[i] = g.uniform_double(low, high);
  } else {
    float* p = tensor.data<float>();
    const float from = static_cast<float>(low), to = static_cast<float>(high);
    for (int64_t i = 0; i < tensor.numel(); ++i) p[i] = g.uniform_float(from, to);
  }
}

void normal_(Tensor& tensor, double mean, double std, Generator* generator) {
  if (!(std >= 0)) raise<Error>("normal expects std >= 0.0, but found std {}\n0 gives the mean alone", number(std));
  Generator& g = chosen(generator);
  if (tensor.dtype() == DType::kFloat64) {
    fill_normal(tensor.data<double>(), tensor.numel(), mean, std, g);
  } else {
    fill_normal(tensor.data<float>(), tensor.numel(), static_cast<float>(mean), static_cast<float>(std), g);
  }
}

Tensor rand(Shape shape, DType dtype, Generator* generator) {
  Tensor t = Tensor::empty(std::move(shape), dtype);
  uniform_(t, 0, 1, generator);
  return t;
}

Tensor randn(Shape shape, DType dtype, Generator* generator) {
  Tensor t = Tensor::empty(std::move(shape), dtype);
  normal_(t, 0, 1, generator);
  return t;
}

Tensor randperm(int64_t n, Generator* generator) {
  Generator& g = chosen(generator);
  Tensor t = Tensor::arange(n, DType::kInt64);
  int64_t* p = t.data<int64_t>();
  for (int64_t i = 0; i < n - 1; ++i) std::swap(p[i], p[i + static_cast<int64_t>(g.next32() % static_cast<uint64_t>(n - i))]);
  return t;
}

}  // namespace convoy
