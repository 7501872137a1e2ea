// Winograd's minimal filtering F(m, r) along one axis: m outputs of an r-tap filter from m + r - 1 products,
//   y = A^T [(G g) * (B^T x)],
// Toom-Cook at `points` and infinity (Lavin & Gray, arXiv 1509.09308; Barabasz et al., arXiv 1803.10986). With the polynomial
// M(z) = prod (z - point): row i of B^T holds the coefficients of M(z) / (z - point i), the last those of M; G's row i is
// (1, p, p^2, ...) / prod over j != i of (p - p_j), the last (0, ..., 0, 1); A^T's column i is (1, p, p^2, ...), the last
// (0, ..., 0, 1). B^T and A^T are exact in float32 for every scheme here, G is applied in double and rounded once.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace convoy::kernels::winograd {

inline constexpr int kMostPoints = 6, kMostTaps = 5;

/// One axis: G and the three sizes, points = outputs + taps - 1.
struct Scheme {
  int outputs = 1;
  int taps = 1;
  int points = 1;
  std::array<std::array<double, kMostTaps>, kMostPoints> g{};
};

constexpr Scheme make_scheme(int outputs, int taps, std::span<const double> finite_points) {
  Scheme s{outputs, taps, outputs + taps - 1, {}};
  const auto count = static_cast<size_t>(s.points) - 1;
  for (size_t i = 0; i < count; ++i) {
    double value = 1;
    for (size_t j = 0; j < count; ++j) {
      if (j != i) value /= finite_points[i] - finite_points[j];
    }
    for (size_t k = 0; k < static_cast<size_t>(taps); ++k, value *= finite_points[i]) s.g[i][k] = value;
  }
  s.g[count][static_cast<size_t>(taps) - 1] = 1;
  return s;
}

// The six-point set was searched for the least error: 11/16 and 3/2 are as good as sqrt(1/2) and sqrt(2), and exact.
inline constexpr std::array<double, 3> kPoints4{0, 1, -1};
inline constexpr std::array<double, 5> kPoints6{0, 0.6875, -0.6875, 1.5, -1.5};

inline constexpr Scheme kNone{1, 1, 1, {{{1}}}};  // an axis that is left alone
inline constexpr Scheme kF32 = make_scheme(3, 2, kPoints4);
inline constexpr Scheme kF23 = make_scheme(2, 3, kPoints4);
inline constexpr Scheme kF43 = make_scheme(4, 3, kPoints6);
inline constexpr Scheme kF34 = make_scheme(3, 4, kPoints6);
inline constexpr Scheme kF25 = make_scheme(2, 5, kPoints6);

}  // namespace convoy::kernels::winograd
