// The example of docs/howto/add_a_layer.md, and proof that it works.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "convoy/autograd/functions.h"
#include "convoy/autograd/grad_check.h"
#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/nn/module.h"
#include "convoy/nn/printed_options.h"

namespace convoy {
namespace {

namespace ops {

// [plane]
// Calls body(i, c) for every element i of an (N, C, *) tensor, c being its channel; one task per sample and channel.
template <class Body>
void for_each_in_planes(const Tensor& input, Body body) {
  const int64_t planes = input.size(0) * input.size(1);
  const int64_t plane = planes == 0 ? 0 : input.numel() / planes;
  parallel_for(planes, [&](int64_t task) {
    for (int64_t i = task * plane; i < (task + 1) * plane; ++i) body(i, task % input.size(1));
  });
}
// [/plane]

// [forward]
/// max(0, x) + weight[c] min(0, x): a slope per channel for the negative side.
///
/// Shapes: input (N, C, *), weight (C), output as the input. Source: torch.nn.functional.prelu.
template <class T>
Tensor prelu(const Tensor& input, const Tensor& weight) {
  if (input.dim() < 2 || weight.shape() != Shape{input.size(1)}) {
    throw ShapeMismatch(
        "Mismatch of parameter numbers and input channel size. Found parameter numbers = " + std::to_string(weight.numel()) +
            " and channel size = " + std::to_string(input.dim() < 2 ? 1 : input.size(1)) + ".",
        "give one slope per channel, axis 1 of the input, whose shape is " + to_string(input.shape()));
  }
  Tensor output = Tensor::empty(input.shape(), input.dtype());
  const T* x = input.data<T>();
  const T* w = weight.data<T>();
  T* y = output.data<T>();
  for_each_in_planes(input, [=](int64_t i, int64_t c) { y[i] = x[i] > 0 ? x[i] : w[c] * x[i]; });
  return output;
}
// [/forward]

// [backward]
template <class T>
Tensor prelu_grad_input(const Tensor& grad_output, const Tensor& input, const Tensor& weight) {
  Tensor grad_input = Tensor::empty(input.shape(), input.dtype());
  const T* g = grad_output.data<T>();
  const T* x = input.data<T>();
  const T* w = weight.data<T>();
  T* dx = grad_input.data<T>();
  for_each_in_planes(input, [=](int64_t i, int64_t c) { dx[i] = x[i] > 0 ? g[i] : w[c] * g[i]; });
  return grad_input;
}

// d output / d weight[c] is min(0, x) in channel c, summed over everything else.
template <class T>
Tensor prelu_grad_weight(const Tensor& grad_output, const Tensor& input) {
  Tensor negative = Tensor::empty(input.shape(), input.dtype());
  const T* g = grad_output.data<T>();
  const T* x = input.data<T>();
  T* product = negative.data<T>();
  for_each_in_planes(input, [=](int64_t i, int64_t) { product[i] = x[i] > 0 ? 0 : g[i] * x[i]; });
  std::vector<int64_t> all_but_channels{0};
  for (int64_t axis = 2; axis < input.dim(); ++axis) all_but_channels.push_back(axis);
  return convoy::ops::sum(negative, all_but_channels);
}
// [/backward]

}  // namespace ops

// [rule]
template <class T>
Variable prelu(const Variable& input, const Variable& weight) {
  return record(ops::prelu<T>(input.data(), weight.data()), {input, weight},
                [x = input.data(), w = weight.data(), needs_input = input.requires_grad(),
                 needs_weight = weight.requires_grad()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {needs_input ? ops::prelu_grad_input<T>(grad_output, x, w) : Tensor(),
                          needs_weight ? ops::prelu_grad_weight<T>(grad_output, x) : Tensor()};
                });
}

Variable prelu(const Variable& input, const Variable& weight) {
  return input.dtype() == DType::kFloat64 ? prelu<double>(input, weight) : prelu<float>(input, weight);
}
// [/rule]

// [layer]
struct PReLUOptions {
  int64_t num_parameters = 1;
  double init = 0.25;
};

/// A learned slope per channel for negative values. Source: torch.nn.PReLU.
class PReLU : public nn::Module {
 public:
  explicit PReLU(PReLUOptions options = {}) : options_(options) {
    register_parameter("weight", Tensor::full({options_.num_parameters}, options_.init));
  }
  std::string type() const override { return "PReLU"; }
  std::string extra_repr() const override { return "num_parameters=" + std::to_string(options_.num_parameters); }
  Variable forward(const Variable& input) override { return prelu(input, parameter(0)); }

 private:
  PReLUOptions options_;
};
// [/layer]

// [row]
std::shared_ptr<nn::Module> build_prelu(const nn::PrintedOptions& o) {
  return std::make_shared<PReLU>(PReLUOptions{.num_parameters = o.integer("num_parameters", 1), .init = o.number("init", 0.25)});
}

shape::Checked prelu_values(const nn::PrintedOptions& o) { return o.integer("num_parameters", 1); }

const nn::LayerRow kPReLU{"PReLU", {"num_parameters", "init"}, 0, build_prelu, prelu_values};
// [/row]

// [check]
TEST(AddALayer, TheGradientIsTheDerivative) {
  Generator generator(1);
  for (const Shape& shape : {Shape{3, 2}, Shape{2, 3, 4}, Shape{2, 3, 2, 3}}) {
    const Variable x(randn(shape, DType::kFloat64, &generator), true);
    const Variable weight(randn({shape[1]}, DType::kFloat64, &generator), true);
    const GradCheckReport report = grad_check([](const std::vector<Variable>& in) { return prelu(in[0], in[1]); }, {x, weight});
    EXPECT_TRUE(report) << report.text;
  }
}
// [/check]

// [composed]
Variable hard_mish(const Variable& x) { return 0.5 * x * hardtanh(x + 2, 0, 2); }
// [/composed]

TEST(AddALayer, ACompositionNeedsNoRule) {
  const Variable x(Tensor::from(std::vector<double>{-2.5, -1.5, -0.5, 0.5, 3}, {5}), true);
  const GradCheckReport report = grad_check([](const std::vector<Variable>& in) { return hard_mish(in[0]); }, {x});
  EXPECT_TRUE(report) << report.text;
  EXPECT_EQ(hard_mish(x).data().to_vector<double>(), (std::vector<double>{0, -0.375, -0.375, 0.5, 3}));
}

TEST(AddALayer, TheLayerGivesPyTorchsValues) {
  PReLU layer({.num_parameters = 2});
  EXPECT_EQ(layer.repr(), "PReLU(num_parameters=2)");
  const Variable x(Tensor::from({1, -2, -4, 8}, {1, 2, 2}), true);
  Variable y = layer(x);
  EXPECT_EQ(y.data().to_vector<float>(), (std::vector<float>{1, -0.5F, -1, 8}));
  y.backward(Tensor::ones({1, 2, 2}));
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{1, 0.25F, 0.25F, 1}));
  EXPECT_EQ(layer.parameters()[0].grad().to_vector<float>(), (std::vector<float>{-2, -4}));
  try {
    layer(Tensor::zeros({1, 3, 2}));
    ADD_FAILURE() << "three channels need three slopes";
  } catch (const ShapeMismatch& error) {
    EXPECT_EQ(error.reason(),
              "Mismatch of parameter numbers and input channel size. Found parameter numbers = 2 and channel size = 3.");
  }
}

TEST(AddALayer, TheRowBuildsWhatWasPrinted) {
  const PReLU layer({.num_parameters = 3, .init = 0.5});
  const nn::PrintedModule printed = nn::parse_syntax(layer.repr(), {});
  const nn::PrintedOptions options(printed, kPReLU);
  EXPECT_EQ(kPReLU.values(options).value(), 3);
  EXPECT_EQ(kPReLU.build(options)->repr(), "PReLU(num_parameters=3)");
  try {
    nn::PrintedOptions(nn::parse_syntax("PReLU(num_parameter=3)", {}), kPReLU);
    ADD_FAILURE() << "there is no such option";
  } catch (const ValueError& error) {
    EXPECT_EQ(error.reason(), "line 1, column 7: PReLU has no option \"num_parameter\"; did you mean 'num_parameters'?");
  }
}

TEST(AddALayer, AnEmptyBatchIsLegal) {
  const Variable x(Tensor::zeros({0, 2, 4}), true), weight(Tensor::ones({2}), true);
  Variable y = prelu(x, weight);
  y.backward(Tensor::zeros({0, 2, 4}));
  EXPECT_EQ(x.grad().shape(), (Shape{0, 2, 4}));
  EXPECT_TRUE(identical(weight.grad(), Tensor::zeros({2})));
}

}  // namespace
}  // namespace convoy
