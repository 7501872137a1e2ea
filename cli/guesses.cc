#include "cli/guesses.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace convoy::cli {

std::vector<double> probabilities_of(std::vector<double> scores) {
  const double sum = std::accumulate(scores.begin(), scores.end(), 0.0), most = *std::max_element(scores.begin(), scores.end());
  const bool probabilities = std::abs(sum - 1) < 1e-3 && *std::min_element(scores.begin(), scores.end()) >= 0;
  if (probabilities) return scores;
  double total = 0;
  for (double& score : scores) total += score = std::exp(score - most);
  for (double& score : scores) score /= total;
  return scores;
}

std::vector<Guess> best_guesses(const std::vector<double>& probabilities, const std::vector<std::string>& labels, int64_t top) {
  std::vector<size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return probabilities[a] > probabilities[b]; });
  order.resize(std::min(order.size(), static_cast<size_t>(top)));
  std::vector<Guess> result;
  for (const size_t i : order)
    result.push_back({static_cast<int64_t>(i), i < labels.size() ? labels[i] : "class " + std::to_string(i), probabilities[i]});
  return result;
}

}  // namespace convoy::cli
