#include "convoy/autograd/grad_check.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy {

namespace {

using Function = std::function<Variable(const std::vector<Variable>&)>;

// One Jacobian, a row per output element and a column per element of one input.
struct Jacobian {
  int64_t rows = 0, columns = 0;
  std::vector<double> entries;

  Jacobian(int64_t row_count, int64_t column_count)
      : rows(row_count), columns(column_count), entries(static_cast<size_t>(row_count * column_count)) {}
  double& at(int64_t row, int64_t column) { return entries[static_cast<size_t>(row * columns + column)]; }
  double at(int64_t row, int64_t column) const { return entries[static_cast<size_t>(row * columns + column)]; }
};

// Inputs of their own for every evaluation, so that a function that changes its inputs is no danger.
std::vector<Variable> copies(const std::vector<Variable>& inputs) {
  std::vector<Variable> result;
  result.reserve(inputs.size());
  for (const Variable& input : inputs) {
    result.push_back(input.defined() ? Variable(input.data().clone(), input.requires_grad()) : Variable());
  }
  return result;
}

Jacobian numerical(const Function& function, const std::vector<Variable>& inputs, size_t input, int64_t rows, double eps) {
  const NoGradGuard no_grad;
  Jacobian jacobian(rows, inputs[input].numel());
  const auto shifted = [&](int64_t column, double shift) {
    std::vector<Variable> point = copies(inputs);
    point[input].data().data<double>()[column] += shift;
    return function(point).data();
  };
  for (int64_t column = 0; column < jacobian.columns; ++column) {
    const Tensor above = shifted(column, eps), below = shifted(column, -eps);
    for (int64_t row = 0; row < rows; ++row) jacobian.at(row, column) = (above.at(row) - below.at(row)) / (2 * eps);
  }
  return jacobian;
}

// The gradients of `leaves`, zero where none arrived; forgets them.
std::vector<Tensor> take_gradients(std::vector<Variable>& leaves) {
  std::vector<Tensor> gradients;
  for (Variable& leaf : leaves) {
    if (!leaf.requires_grad()) {
      gradients.emplace_back();
      continue;
    }
    gradients.push_back(leaf.grad().defined() ? leaf.grad() : Tensor::zeros(leaf.shape(), leaf.dtype()));
    leaf.zero_grad();
  }
  return gradients;
}

// "[0, 2]" for element i of a shape.
std::string position(int64_t i, const Shape& shape) {
  Shape index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = i % shape[axis];
    i /= shape[axis];
  }
  return to_string(index);
}

struct Entry {
  int64_t row, column;
  double error;
};

std::string mismatch_text(size_t input, const Jacobian& analytical, const Jacobian& differences, std::vector<Entry> wrong,
                          const Shape& output_shape, const Shape& input_shape, const GradCheckOptions& options) {
  constexpr size_t kShown = 5;
  std::sort(wrong.begin(), wrong.end(), [](const Entry& a, const Entry& b) { return a.error > b.error; });
  std::ostringstream text;
  text.precision(10);
  text << "Jacobian mismatch for output 0 with respect to input " << input << ",\n"
       << wrong.size() << " of " << analytical.entries.size() << " entries differ by more than " << options.atol << " + "
       << options.rtol << " |numerical|; the largest:\n";
  for (size_t i = 0; i < std::min(kShown, wrong.size()); ++i) {
    const auto [row, column, error] = wrong[i];
    text << "  d output" << position(row, output_shape) << " / d input" << position(column, input_shape) << ": numerical "
         << differences.at(row, column) << ", analytical " << analytical.at(row, column) << "\n";
  }
  return text.str();
}

}  // namespace

GradCheckReport grad_check(const Function& function, const std::vector<Variable>& inputs, const GradCheckOptions& options) {
  if (std::none_of(inputs.begin(), inputs.end(), [](const Variable& input) { return input.requires_grad(); })) {
    raise<ValueError>(
        "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True.\n"
        "build the inputs to check with Variable(tensor, true)");
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].requires_grad() && inputs[i].dtype() != DType::kFloat64) {
      raise<ValueError>(
          "gradcheck needs float64 inputs, input {} is {}\n"
          "float32 differences are too coarse to check anything: convert the values with to(DType::kFloat64)",
          i, inputs[i].dtype());
    }
  }

  std::vector<Variable> leaves = copies(inputs);
  Variable output = function(leaves);
  if (!output.requires_grad()) {
    raise<ValueError>(
        "gradcheck expects the output to require gradient, but it does not\n"
        "compute it from the given inputs by recorded functions, outside any NoGradGuard");
  }
  const Shape shape = output.shape();
  const int64_t rows = output.numel();
  const auto gradients_of = [&](const Tensor& grad_output) {
    output.backward(grad_output, true);
    return take_gradients(leaves);
  };

  std::vector<Jacobian> analytical;
  analytical.reserve(inputs.size());
  for (const Variable& input : inputs) analytical.emplace_back(rows, input.requires_grad() ? input.numel() : 0);
  GradCheckReport report;
  const auto fail = [&](std::string_view text) {
    if (!report.text.empty()) report.text += "\n";
    report.text += text;
  };

  for (int64_t row = 0; row < rows; ++row) {
    Tensor one = Tensor::zeros(shape, output.dtype());
    const auto set = [&](auto* values) { values[row] = 1; };
    output.dtype() == DType::kFloat64 ? set(one.data<double>()) : set(one.data<float>());
    const std::vector<Tensor> gradients = gradients_of(one), again = gradients_of(one);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].requires_grad()) continue;
      for (int64_t column = 0; column < analytical[i].columns; ++column) analytical[i].at(row, column) = gradients[i].at(column);
      if (!identical(gradients[i], again[i]) && report.text.empty()) {
        fail(
            formatted("Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                      "different values. The first difference is in the gradient of input {} of output{}.",
                      i, position(row, shape)));
      }
    }
  }

  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].requires_grad()) continue;
    const Jacobian differences = numerical(function, inputs, i, rows, options.eps);
    std::vector<Entry> wrong;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < differences.columns; ++column) {
        const double want = differences.at(row, column);
        const double error = std::fabs(analytical[i].at(row, column) - want);
        if (!(error <= options.atol + options.rtol * std::fabs(want))) wrong.push_back({row, column, error});  // NaN is wrong
        report.max_error = std::max(report.max_error, error);
      }
    }
    report.entries += rows * differences.columns;
    report.mismatches += static_cast<int64_t>(wrong.size());
    if (!wrong.empty()) fail(mismatch_text(i, analytical[i], differences, std::move(wrong), shape, inputs[i].shape(), options));
  }

  // Gradients that are not one-hot: zeros, and weights that no two rows share.
  Tensor dense = Tensor::zeros(shape, DType::kFloat64);
  const std::vector<Tensor> of_zeros = gradients_of(dense);
  for (int64_t row = 0; row < rows; ++row) dense.data<double>()[row] = 0.5 + static_cast<double>(row * 7 % 11) / 8;
  const std::vector<Tensor> of_dense = gradients_of(dense);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].requires_grad()) continue;
    for (int64_t column = 0; column < analytical[i].columns; ++column) {
      if (of_zeros[i].at(column) != 0) {
        fail(formatted("backward not multiplied by grad_output: zeros give {} for input {}{}", of_zeros[i].at(column), i,
                       position(column, inputs[i].shape())));
        break;
      }
      double sum = 0, scale = 0;
      for (int64_t row = 0; row < rows; ++row) {
        sum += dense.at(row) * analytical[i].at(row, column);
        scale += std::fabs(dense.at(row) * analytical[i].at(row, column));
      }
      if (!(std::fabs(of_dense[i].at(column) - sum) <= options.atol + options.rtol * scale)) {
        fail(
            formatted("backward of a dense gradient is not the sum of its rows: {} instead of {} for input {}{}; a rule that "
                      "overwrites where it should add does this",
                      of_dense[i].at(column), sum, i, position(column, inputs[i].shape())));
        break;
      }
    }
  }

  report.ok = report.text.empty();
  if (report.ok) {
    std::ostringstream text;
    text << "backward() agrees with central differences in " << report.entries << " entries, largest difference "
         << report.max_error;
    report.text = text.str();
  }
  return report;
}

}  // namespace convoy
