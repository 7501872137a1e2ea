// Random calls, legal and not, for a fixed time per family: float32 against float64 (the reference), 1 thread against 2 and 5, a
// sample alone against the same sample in its batch, and inputs that stay as they were.
//
// The seed is printed. Again with it: robustness_test --gtest_filter='*Random*' --gtest_random_seed=SEED. CONVOY_RANDOM_SECONDS is
// the time per family, 0.25 without it.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "convoy/core/accuracy.h"
#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "tests/robustness/problems.h"

namespace convoy::robustness {
namespace {

struct Result {
  Tensors outputs;
  std::string refusal;
};

Result run(const Problem& problem, const Tensors& inputs) {
  try {
    return {problem.call(inputs), ""};
  } catch (const Error& e) {
    return {{}, e.reason()};
  }
}

Tensors converted(const Tensors& tensors, DType dtype) {
  Tensors out;
  for (const Tensor& t : tensors) out.push_back(is_floating(t.dtype()) ? t.to(dtype) : t);
  return out;
}

bool identical(const Tensors& a, const Tensors& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!convoy::identical(a[i], b[i])) return false;
  }
  return true;
}

/// Largest difference between a float32 result and the float64 one; infinite where shapes, NaNs or infinities differ.
double difference(const Tensor& fast, const Tensor& exact, double& largest) {
  if (fast.shape() != exact.shape()) return INFINITY;
  double worst = 0;
  for (int64_t i = 0; i < fast.numel(); ++i) {
    const double a = fast.at(i), b = exact.at(i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const double d = std::abs(a - b);
    worst = std::max(worst, std::isnan(d) ? INFINITY : d);
    largest = std::max(largest, std::abs(b));
  }
  return worst;
}

/// The same call on numbers with fractions, whose sums depend on their order.
Problem with_fractions(const Problem& problem, Generator& generator) {
  Problem out = problem;
  for (Tensor& t : out.inputs) {
    if (!is_floating(t.dtype())) continue;
    t = t.clone();
    for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] += generator.uniform_float(-0.5F, 0.5F);
  }
  out.text += " with fractions";
  out.tolerance = std::max(problem.tolerance, 1e-4);
  return out;
}

void check_against_float64(const Problem& problem, const Result& fast) {
  const Result exact = run(problem, converted(problem.inputs, DType::kFloat64));
  ASSERT_EQ(fast.refusal, exact.refusal) << "float32 and float64 disagree on whether the call is legal";
  ASSERT_EQ(fast.outputs.size(), exact.outputs.size());
  for (size_t i = 0; i < fast.outputs.size(); ++i) {
    const Tensor& y = fast.outputs[i];
    if (!is_floating(y.dtype())) {
      ASSERT_TRUE(convoy::identical(y, exact.outputs[i])) << "output " << i << " of integers";
      continue;
    }
    double largest = 1;
    const double worst = difference(y, exact.outputs[i], largest);
    ASSERT_LE(worst, problem.tolerance * largest)
        << "output " << i << " of shape " << to_string(y.shape()) << ", reference " << to_string(exact.outputs[i].shape());
  }
}

void check_samples_alone(const Problem& problem, const Result& whole) {
  if (problem.batched_inputs.empty() || !whole.refusal.empty()) return;
  const int64_t batch = problem.inputs[0].size(0);
  for (int64_t n = 0; n < batch && batch > 1; ++n) {
    Tensors alone;
    for (size_t i = 0; i < problem.inputs.size(); ++i) {
      alone.push_back(problem.batched_inputs[i] ? problem.inputs[i].slice(n, n + 1) : problem.inputs[i]);
    }
    const Result one = run(problem, alone);
    ASSERT_EQ(one.refusal, "") << "sample " << n << " alone is refused";
    for (size_t i = 0; i < whole.outputs.size(); ++i) {
      if (!problem.batched_outputs[i]) continue;
      ASSERT_TRUE(convoy::identical(one.outputs[i], whole.outputs[i].slice(n, n + 1)))
          << "output " << i << " of sample " << n << " alone differs";
    }
  }
}

void check(const Problem& problem) {
  const Tensors before = [&] {
    Tensors copies;
    for (const Tensor& t : problem.inputs) copies.push_back(t.clone());
    return copies;
  }();
  set_num_threads(1);
  const Result one = run(problem, problem.inputs);
  for (const int threads : {2, 5}) {
    set_num_threads(threads);
    const Result many = run(problem, problem.inputs);
    ASSERT_EQ(many.refusal, one.refusal);
    ASSERT_TRUE(identical(many.outputs, one.outputs)) << threads << " threads change the result";
  }
  ASSERT_NO_FATAL_FAILURE(check_against_float64(problem, one));
  ASSERT_NO_FATAL_FAILURE(check_samples_alone(problem, one));
  ASSERT_TRUE(identical(problem.inputs, before)) << "an input was changed";
}

double seconds_per_family() {
  const char* seconds = std::getenv("CONVOY_RANDOM_SECONDS");
  return seconds != nullptr ? std::atof(seconds) : 0.25;
}

uint64_t seed() {
  const int given = testing::GTEST_FLAG(random_seed);
  return given != 0 ? static_cast<uint64_t>(given) : 1;  // the same in every run of the tests
}

class Random : public testing::TestWithParam<Family> {};

TEST_P(Random, Calls) {
  const auto start = std::chrono::steady_clock::now();
  int64_t legal = 0, refused = 0;
  for (uint64_t i = 0;
       std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds_per_family() || i < 20; ++i) {
    Generator generator(seed() * 1000003 + i);
    const Problem problem = GetParam().draw(generator);
    SCOPED_TRACE(problem.text + " (call " + std::to_string(i) + " of seed " + std::to_string(seed()) + ")");
    ++(run(problem, problem.inputs).refusal.empty() ? legal : refused);
    const Accuracy before = accuracy();
    set_accuracy(Accuracy::kStrict);  // exact on integers
    check(problem);
    set_accuracy(before);
    if (!HasFatalFailure()) check(with_fractions(problem, generator));
    if (HasFatalFailure()) break;
  }
  set_num_threads(0);
  std::cout << "  seed " << seed() << ": " << legal << " legal and " << refused << " refused calls\n";
  EXPECT_GT(legal, 0);
}

// A tensor that is not there, an empty one, one of another type: each input in turn.
TEST_P(Random, WrongTensors) {
  for (uint64_t i = 0; i < 5; ++i) {
    Generator generator(i);
    const Problem problem = GetParam().draw(generator);
    for (size_t k = 0; k < problem.inputs.size(); ++k) {
      Tensors inputs = problem.inputs;
      const Tensor& t = problem.inputs[k];
      for (const Tensor& wrong : {Tensor(), Tensor::empty({0}), Tensor::scalar(1), t.to(DType::kFloat64), t.to(DType::kInt64),
                                  Tensor::ones({1, 2, 3, 4, 5, 6})}) {
        SCOPED_TRACE(problem.text + " with input " + std::to_string(k) + " of shape " + to_string(wrong.shape()));
        inputs[k] = wrong;
        const Result result = run(problem, inputs);
        if (result.refusal.empty()) {
          EXPECT_FALSE(result.outputs.empty());
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Random, testing::ValuesIn(families()), [](const auto& family) { return family.param.name; });

}  // namespace
}  // namespace convoy::robustness
