#include "convoy/autograd/rule_check_test.h"

namespace convoy {
namespace {

const std::pair<const char*, Reduction> kReductions[] = {
    {"none", Reduction::kNone}, {"mean", Reduction::kMean}, {"sum", Reduction::kSum}};

struct ClassProblem {
  Shape input;
  Tensor target;
};

std::vector<ClassProblem> class_problems() {
  const auto classes = [](const std::vector<int64_t>& values, const Shape& shape) { return Tensor::from(values, shape); };
  return {{{4, 3}, classes({0, 2, 1, 2}, {4})},
          {{3}, classes({1}, {})},
          {{2, 3, 2}, classes({0, 2, 1, 1}, {2, 2})},
          {{1, 4, 2, 3}, classes({3, 2, 1, 0, 2, 2}, {1, 2, 3})}};
}

TEST(LossRules, NllLoss) {
  for (const auto& [input, target] : class_problems()) {
    for (const auto& [name, reduction] : kReductions) {
      for (const int64_t ignore_index : {-100, 2}) {
        const ClassLossOptions options{.reduction = reduction, .ignore_index = ignore_index};
        expect_gradients("nll_loss " + to_string(input) + " " + name + " ignore_index " + std::to_string(ignore_index),
                         [&, t = target](const Inputs& in) { return nll_loss(in[0], t, options); }, {checked(input)});
      }
    }
  }
}

TEST(LossRules, CrossEntropy) {
  for (const auto& [input, target] : class_problems()) {
    for (const auto& [name, reduction] : kReductions) {
      for (const int64_t ignore_index : {-100, 2}) {
        for (const double label_smoothing : {0.0, 0.3, 1.0}) {
          const ClassLossOptions options{.reduction = reduction, .ignore_index = ignore_index, .label_smoothing = label_smoothing};
          expect_gradients("cross_entropy " + to_string(input) + " " + name + " ignore_index " + std::to_string(ignore_index) +
                               " label_smoothing " + std::to_string(label_smoothing),
                           [&, t = target](const Inputs& in) { return cross_entropy(3 * in[0], t, options); }, {checked(input)});
        }
      }
    }
  }
}

TEST(LossRules, CrossEntropyWithProbabilities) {
  for (const Shape& shape : {Shape{4, 3}, Shape{3}, Shape{2, 3, 2}}) {
    const Tensor target = ops::square(distinct_values(shape, 4));
    for (const auto& [name, reduction] : kReductions) {
      for (const double label_smoothing : {0.0, 0.3}) {
        const ClassLossOptions options{.reduction = reduction, .label_smoothing = label_smoothing};
        expect_gradients("cross_entropy " + to_string(shape) + " " + name + " label_smoothing " + std::to_string(label_smoothing),
                         [&](const Inputs& in) { return cross_entropy(3 * in[0], target, options); }, {checked(shape)});
      }
    }
  }
}

TEST(LossRules, PairLosses) {
  // The target may be broadcast, and so may the input, whose gradient is then summed.
  const std::pair<Shape, Shape> shapes[] = {{{2, 3}, {2, 3}}, {{}, {}}, {{2, 3}, {3}}, {{3, 1}, {2}}, {{5}, {}}};
  for (const auto& [input, target_shape] : shapes) {
    const Tensor target = distinct_values(target_shape, 9);
    for (const auto& [reduction_name, reduction_value] : kReductions) {
      const Reduction reduction = reduction_value;
      const std::string name = " " + to_string(input) + " " + to_string(target_shape) + " " + reduction_name;
      expect_gradients("mse_loss" + name, [&](const Inputs& in) { return mse_loss(in[0], target, reduction); }, {checked(input)});
      expect_gradients("l1_loss" + name, [&](const Inputs& in) { return l1_loss(in[0], target, reduction); }, {checked(input)});
      for (const double beta : {1.0, 0.5, 0.0}) {
        expect_gradients("smooth_l1_loss beta " + std::to_string(beta) + name,
                         [&](const Inputs& in) { return smooth_l1_loss(in[0], target, reduction, beta); }, {checked(input)});
      }
      if (input != target_shape) continue;  // PyTorch broadcasts no binary targets
      expect_gradients(
          "binary_cross_entropy_with_logits" + name,
          [&](const Inputs& in) { return binary_cross_entropy_with_logits(4 * in[0], ops::square(target), reduction); },
          {checked(input)});
    }
  }
}

}  // namespace
}  // namespace convoy
