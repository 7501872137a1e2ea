// What a classifier's scores say, the likeliest class first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace convoy::cli {

struct Guess {
  int64_t index = 0;
  std::string label;
  double probability = 0;
};

/// Scores as probabilities: as they are if they are some already, else through softmax. Finite, at least one.
std::vector<double> probabilities_of(std::vector<double> scores);

/// Up to `top` classes; one without a label is "class 7".
std::vector<Guess> best_guesses(const std::vector<double>& probabilities, const std::vector<std::string>& labels, int64_t top);

}  // namespace convoy::cli
